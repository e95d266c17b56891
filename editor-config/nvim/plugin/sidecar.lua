-- Mode files are YAML (or JSON, which is YAML too), and Neovim does not know their names.
vim.filetype.add({
  filename = {
    ['.roomodes'] = 'yaml',
    ['.zoomodes'] = 'yaml',
    ['.kilocodemodes'] = 'yaml',
    ['.bobmodes'] = 'yaml',
  },
})

if vim.lsp.enable then
  vim.lsp.enable('sidecar')
else
  vim.notify_once('sidecar: Neovim 0.11 or later is needed', vim.log.levels.WARN)
end

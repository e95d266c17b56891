-- `sidecar lsp` for Neovim 0.11 or later, found by `vim.lsp.config`.
--
-- Which files are looked after is decided by their names, as in sidecar/workspace/layout.py; a
-- server is only started for those, whatever their filetype.

local modes = { ['.roomodes'] = true, ['.zoomodes'] = true, ['.kilocodemodes'] = true, ['.bobmodes'] = true }
local notes = { ['TODO.md'] = true, ['task_timing.tsv'] = true, ['persistent-memory.md'] = true, ['sidecar.toml'] = true }

local function looked_after(path)
  local name, folder = vim.fs.basename(path), vim.fs.basename(vim.fs.dirname(path))
  if name == 'schedules.json' then
    return folder == '.roo' or folder == '.zoo'
  end
  return modes[name] or notes[name] or (name == 'custom_modes.yaml' and folder == '.bob')
end

-- Whoever wants lenses above tests has the server told of Python files too.
local function tested(path)
  local options = vim.lsp.config.sidecar.init_options
  return type(options) == 'table' and options.test_lenses == true and vim.fs.basename(path):match('%.py$') ~= nil
end

---@type vim.lsp.Config
return {
  cmd = { 'sidecar', 'lsp' },
  root_dir = function(bufnr, on_dir)
    local path = vim.api.nvim_buf_get_name(bufnr)
    if path ~= '' and (looked_after(path) or tested(path)) then
      local marked = vim.fs.root(path, { '.roo', '.roomodes', '.zoomodes', '.git' })
      on_dir(marked or vim.fs.dirname(path))
    end
  end,
}

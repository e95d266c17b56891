-- Opens a test file with lenses on, runs its first test from the lens, notes what Neovim shows.

local SECONDS = 60

local function until_true(what, condition)
  if not vim.wait(SECONDS * 1000, condition, 20) then
    error('never happened: ' .. what)
  end
end

local function lenses(buffer)
  return vim.tbl_map(function(each)
    return { each.range.start.line, each.command.title }
  end, vim.lsp.codelens.get(buffer))
end

local function drive()
  vim.lsp.config('sidecar', { init_options = { test_lenses = true } })
  vim.cmd.edit('test_it.py')
  local buffer = vim.api.nvim_get_current_buf()
  until_true('a client', function() return #vim.lsp.get_clients({ bufnr = buffer }) > 0 end)
  vim.lsp.codelens.refresh({ bufnr = buffer })
  until_true('lenses', function() return #vim.lsp.codelens.get(buffer) > 0 end)
  local answer = { before = lenses(buffer), progress = {} }
  vim.api.nvim_create_autocmd('LspProgress', {
    callback = function(event)
      local value = event.data.params.value
      table.insert(answer.progress, value.kind .. ' ' .. (value.message or value.title or ''))
    end,
  })
  vim.api.nvim_win_set_cursor(0, { 3, 0 })
  vim.lsp.codelens.run()
  until_true('a failure', function() return #vim.diagnostic.get(buffer) > 0 end)
  until_true('an end', function() return (answer.progress[#answer.progress] or ''):match('^end') end)
  answer.diagnostics = vim.tbl_map(function(each)
    return { each.lnum, each.code, each.message, each.source }
  end, vim.diagnostic.get(buffer))
  until_true('other lenses', function()
    vim.lsp.codelens.refresh({ bufnr = buffer })
    vim.wait(200)
    return not vim.deep_equal(lenses(buffer), answer.before)
  end)
  answer.after = lenses(buffer)
  return answer
end

local fine, answer = pcall(drive)
vim.fn.writefile({ vim.json.encode(fine and answer or { error = answer }) }, vim.env.ANSWER)
vim.cmd('qall!')

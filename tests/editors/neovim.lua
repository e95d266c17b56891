-- Opens three files of the sample workspace, notes what Neovim shows, applies a quick fix, saves.

local SECONDS = 30

local function codes(buffer)
  return vim.tbl_map(function(each) return each.code end, vim.diagnostic.get(buffer))
end

local function until_true(what, condition)
  if not vim.wait(SECONDS * 1000, condition, 20) then
    error('never happened: ' .. what)
  end
end

local function open(path, code)
  vim.cmd.edit(path)
  local buffer = vim.api.nvim_get_current_buf()
  -- Findings of a file are there before it is opened, so they do not tell that a client is.
  until_true('a client for ' .. path, function() return #vim.lsp.get_clients({ bufnr = buffer }) > 0 end)
  until_true(code .. ' in ' .. path, function() return vim.tbl_contains(codes(buffer), code) end)
  return buffer
end

local function shown(buffer)
  return vim.tbl_map(function(each)
    local line = vim.api.nvim_buf_get_lines(buffer, each.lnum, each.lnum + 1, false)[1] or ''
    local text = each.lnum == each.end_lnum and line:sub(each.col + 1, each.end_col) or ''
    return { code = each.code, message = each.message, text = text }
  end, vim.diagnostic.get(buffer))
end

local function fix(buffer, code)
  local found = vim.tbl_filter(function(each) return each.code == code end, vim.diagnostic.get(buffer))[1]
  vim.api.nvim_win_set_cursor(0, { found.lnum + 1, found.col })
  vim.lsp.buf.code_action({
    apply = true,
    filter = function(action) return action.kind == 'quickfix' and action.isPreferred end,
  })
  until_true('no ' .. code .. ' after its quick fix', function()
    return not vim.tbl_contains(codes(buffer), code)
  end)
end

local function drive()
  local answer = { shown = {} }
  local modes = open('.roomodes', 'RM016')
  answer.filetype = vim.bo[modes].filetype
  answer.shown['.roomodes'] = shown(modes)
  answer.shown['.roo/schedules.json'] = shown(open('.roo/schedules.json', 'SC004'))
  local plan = open('TODO.md', 'TD003')
  answer.shown['TODO.md'] = shown(plan)
  fix(plan, 'TD003')
  vim.cmd.write()
  answer.left = codes(plan)
  return answer
end

local fine, answer = pcall(drive)
vim.fn.writefile({ vim.json.encode(fine and answer or { error = answer }) }, vim.env.ANSWER)
vim.cmd('qall!')

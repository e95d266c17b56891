-- Types a mistake into the schedules file, saves nothing, and lets an agent in a pipe change the file.

local SECONDS = 30
local FILE = '.roo/schedules.json'
local folder = vim.fn.getcwd()

local function until_true(what, condition)
  if not vim.wait(SECONDS * 1000, condition, 20) then
    error('never happened: ' .. what)
  end
end

local function text(buffer)
  return table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), '\n') .. '\n'
end

local answers = {}
local rest = ''
local channel = vim.fn.jobstart({ 'sidecar', 'mcp', '--workspace', folder }, {
  on_stdout = function(_, pieces)
    pieces[1] = rest .. pieces[1]
    rest = table.remove(pieces)
    for _, line in ipairs(pieces) do
      local message = vim.json.decode(line)
      if message.id then answers[message.id] = message end
    end
  end,
})
local last = 0

local function send(message)
  message.jsonrpc = '2.0'
  vim.fn.chansend(channel, vim.json.encode(message) .. '\n')
end

local function ask(method, params)
  last = last + 1
  local id = last
  send({ id = id, method = method, params = params })
  until_true('an answer to ' .. method, function() return answers[id] ~= nil end)
  return answers[id].result
end

local function call(tool, arguments)
  return ask('tools/call', { name = tool, arguments = arguments }).structuredContent
end

local function read()
  return call('read_project_file', { file_path = FILE }).content
end

local function drive()
  local answer = {}
  vim.cmd.edit(FILE)
  local buffer = vim.api.nvim_get_current_buf()
  until_true('a client', function() return #vim.lsp.get_clients({ bufnr = buffer }) > 0 end)
  local client = { name = 'neovim-test', version = '1' }
  ask('initialize', { protocolVersion = '2025-06-18', capabilities = vim.empty_dict(), clientInfo = client })
  send({ method = 'notifications/initialized' })
  vim.cmd('%s/implementation-core"/implementation-corex"/')
  -- Whoever types begins a new step of undo by each command; a script does not.
  vim.cmd('let &undolevels = &undolevels')
  answer.typed = text(buffer)
  until_true('the agent sees what is typed', function() return read() == answer.typed end)
  local seen = call('get_schedule_status', { schedule_id = '1745000000001' })
  answer.source, answer.mode = seen.source, seen.schedules[1].mode
  local change = { action = 'update', schedule_id = '1745000000001', update_fields = { timeInterval = '25' } }
  answer.change = call('manage_schedules', change)
  answer.changed = text(buffer)
  answer.modified = vim.bo[buffer].modified
  vim.cmd.undo()
  answer.undone = text(buffer)
  until_true('the agent sees what is undone', function() return read() == answer.undone end)
  return answer
end

local fine, answer = pcall(drive)
vim.fn.writefile({ vim.json.encode(fine and answer or { error = answer }) }, vim.env.ANSWER)
vim.cmd('qall!')

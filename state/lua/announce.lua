-- Renew or end the lease of an instance, and tell who else has one. Time is the server's own.
--
-- KEYS[1]  hash: node -> "<expires> <nonce> <record>", with `expires` in milliseconds since 1970
-- ARGV     node, nonce (without spaces), record, lease in milliseconds, "1" to leave
-- returns  {fenced, known, record...}

local nodes = KEYS[1]
local node, nonce, record, lease, leaving = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5] == "1"

local clock = redis.call("TIME")
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- Whatever else somebody put under our key stands in nobody's way.
local kind = redis.call("TYPE", nodes).ok
if kind ~= "hash" and kind ~= "none" then
  redis.call("DEL", nodes)
end

local function parse(text)
  local expires, its_nonce, its_record = string.match(text or "", "^(%d+) (%S*) (.*)$")
  -- Of more digits it is no time of ours, and none that Redis takes.
  if expires and #expires <= 16 and tonumber(expires) > now then
    return tonumber(expires), its_nonce, its_record
  end
end

local known, held_by = parse(redis.call("HGET", nodes, node))
local fenced = known and held_by ~= nonce
if not fenced then
  if leaving then
    redis.call("HDEL", nodes, node)
  else
    redis.call("HSET", nodes, node, string.format("%.0f %s %s", now + lease, nonce, record))
  end
end

local reply = {fenced and 1 or 0, known and 1 or 0}
local last = 0
local entries = redis.call("HGETALL", nodes)
for i = 1, #entries, 2 do
  local expires, _, its_record = parse(entries[i + 1])
  if expires then
    last = math.max(last, expires)
    reply[#reply + 1] = its_record
  else
    redis.call("HDEL", nodes, entries[i])
  end
end
if last > 0 then
  redis.call("PEXPIREAT", nodes, string.format("%.0f", last))
end
return reply

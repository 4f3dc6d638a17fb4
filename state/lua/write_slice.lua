-- Write or renew a slice unless there is a newer one, and tell which slices of its room there are. Time is the
-- server's own.
--
-- KEYS[1]  index, a hash: node -> "<epoch>:<seq>:<renewed>:<expires>", times in milliseconds since 1970
-- KEYS[2]  the slice, a hash: field -> text, with its version in _epoch and _seq
-- ARGV     node, epoch, seq, epoch and seq of the base ("" if none), life in milliseconds,
--          the number of fields to set, then name and text of each, then the names of those to drop
-- returns  {status, (node, epoch, seq, age in milliseconds)...}

local index, slice = KEYS[1], KEYS[2]
local node, epoch, seq, base_epoch, base_seq = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local life, sets = tonumber(ARGV[6]), tonumber(ARGV[7])

local clock = redis.call("TIME")
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

-- Whatever else somebody put under our keys stands in nobody's way.
for _, key in ipairs(KEYS) do
  local kind = redis.call("TYPE", key).ok
  if kind ~= "hash" and kind ~= "none" then
    redis.call("DEL", key)
  end
end

-- A number such as we write, and that Redis takes for a time: of no more digits than 2^53.
local function is_number(text)
  return text and #text <= 16 and string.find(text, "^%d+$")
end

-- The same as _judge in tests/support/memory_store.py. Versions are compared as numbers, exact up to 2^53, and kept as
-- the text that they came as.
local function judge()
  local found = redis.call("HMGET", slice, "_epoch", "_seq")
  local found_epoch, found_seq = found[1], found[2]
  if not (is_number(found_epoch) and is_number(found_seq)) then
    found_epoch, found_seq = false, false -- it is no slice
  end
  local newer_or_same = false
  if found_epoch then
    if tonumber(found_epoch) > tonumber(epoch) then
      return "fenced"
    end
    newer_or_same = tonumber(found_epoch) == tonumber(epoch) and tonumber(found_seq) >= tonumber(seq)
  end
  if base_epoch ~= "" and (found_epoch ~= base_epoch or found_seq ~= base_seq) then
    return newer_or_same and "stale" or "behind"
  end
  if base_epoch == "" and newer_or_same then
    return "stale"
  end
  return "applied"
end

local function write()
  local expires = string.format("%.0f", now + life)
  -- First what needs memory: a full server refuses the first write of a script or none of them.
  redis.call("HSET", index, node, string.format("%s:%s:%.0f:%s", epoch, seq, now, expires))
  if base_epoch == "" then
    redis.call("DEL", slice)
  end
  redis.call("HSET", slice, "_epoch", epoch, "_seq", seq)
  local first_drop = 8 + 2 * sets
  for i = 8, first_drop - 1, 2 do
    redis.call("HSET", slice, ARGV[i], ARGV[i + 1])
  end
  for i = first_drop, #ARGV do
    redis.call("HDEL", slice, ARGV[i])
  end
  redis.call("PEXPIREAT", slice, expires)
end

local status = judge()
if status == "applied" then
  write()
end

local reply = {status}
local last = 0
local entries = redis.call("HGETALL", index)
for i = 1, #entries, 2 do
  local its_epoch, its_seq, renewed, expires = string.match(entries[i + 1], "^(%d+):(%d+):(%d+):(%d+)$")
  local is_ours = is_number(its_epoch) and is_number(its_seq) and is_number(renewed) and is_number(expires)
  if is_ours and tonumber(expires) > now then
    last = math.max(last, tonumber(expires))
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = entries[i], its_epoch, its_seq, now - tonumber(renewed)
  else
    redis.call("HDEL", index, entries[i])
  end
end
if status == "applied" and last > 0 then
  redis.call("PEXPIREAT", index, string.format("%.0f", last))
end
return reply

-- The version that was seen (empty: nothing), the value, for how many milliseconds it is kept (empty:
-- for good). Gives the new version; or false and what the cell holds.
local held = redis.call('HMGET', KEYS[1], 'v', 'b')
if (held[1] or '') ~= ARGV[1] then return {false, held[1], held[2]} end
local clock = redis.call('TIME')
-- Versions never repeat, not even when the cell was forgotten: they follow the clock.
local version = math.max(clock[1] * 1000000 + clock[2], tonumber(held[1] or '0') + 1)
version = string.format('%.0f', version)
redis.call('HSET', KEYS[1], 'v', version, 'b', ARGV[2])
if ARGV[3] == '' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return {version, false, false}

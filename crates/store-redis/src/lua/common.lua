-- One queue. All its keys begin with KEYS[1], which holds a hash tag, so that they share a slot.
--   :j  jobs by name: state, due, priority, place, attempts, most attempts, lease, pushed again,
--       due and priority of that push, reason
--   :w  jobs whose time has not come, by time
--   :p  priorities that have due jobs, the highest first;  :d:N  due jobs of one, by time and place
--   :l  claimed jobs, by the end of their lease
--   :x  dead jobs, by time
--   :n  the newest number given to a place or a lease
local WAITING, DUE, CLAIMED, DEAD = 0, 1, 2, 3
local STATE, AT, PRIO, PLACE, TRIES, MOST, LEASE, AGAIN, AGAIN_AT, AGAIN_PRIO, REASON =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
-- More dead jobs than this are forgotten, the oldest first.
local KEPT = 10000

local base, channel, queue = KEYS[1], ARGV[1], ARGV[2]
local jobs, waiting, prios = base .. ':j', base .. ':w', base .. ':p'
local leases, dead, newest = base .. ':l', base .. ':x', base .. ':n'
local clock = redis.call('TIME')
local micros = clock[1] * 1000000 + clock[2]
local now = math.floor(micros / 1000)

local held, changed, ring, last = {}, {}, false, nil

-- Numbers never repeat, not even when all data was lost: they follow the clock.
local function number()
  if not last then last = tonumber(redis.call('GET', newest) or '0') end
  last = math.max(micros, last + 1)
  return last
end

local function load(ids)
  for from = 1, #ids, 1000 do
    local some = {unpack(ids, from, math.min(from + 999, #ids))}
    for at, packed in ipairs(redis.call('HMGET', jobs, unpack(some))) do
      held[some[at]] = packed and cmsgpack.unpack(packed) or nil
    end
  end
end

local function keep(id, job) held[id] = job; changed[id] = true end
local function forget(id) held[id] = nil; changed[id] = true end

local function line(prio) return base .. ':d:' .. prio end
local function member(id, job) return string.format('%016.0f', job[PLACE]) .. ':' .. id end

local function drained(prio)
  if redis.call('EXISTS', line(prio)) == 0 then redis.call('ZREM', prios, prio) end
end

-- Takes a job out of wherever it lies.
local function leave(id, job)
  if job[STATE] == WAITING then redis.call('ZREM', waiting, id)
  elseif job[STATE] == DUE then
    redis.call('ZREM', line(job[PRIO]), member(id, job))
    drained(job[PRIO])
  elseif job[STATE] == CLAIMED then redis.call('ZREM', leases, id)
  else redis.call('ZREM', dead, id) end
end

-- Puts a job where its time says.
local function place(id, job, at)
  job[AT] = at
  if at > now then
    job[STATE] = WAITING
    redis.call('ZADD', waiting, at, id)
  else
    job[STATE] = DUE
    if not ring and redis.call('EXISTS', prios) == 0 then ring = true end
    redis.call('ZADD', line(job[PRIO]), at, member(id, job))
    redis.call('ZADD', prios, -job[PRIO], job[PRIO])
  end
  keep(id, job)
end

-- What was pushed while it was claimed takes part in what becomes of it.
local function place_again(id, job, at)
  if job[AGAIN] == 1 then
    at = math.min(at, job[AGAIN_AT])
    job[PRIO] = math.max(job[PRIO], job[AGAIN_PRIO])
    job[AGAIN] = 0
  end
  place(id, job, at)
end

local function die(id, job, reason)
  job[STATE], job[AGAIN], job[REASON] = DEAD, 0, reason
  redis.call('ZADD', dead, now, id)
  keep(id, job)
  if redis.call('ZCARD', dead) > KEPT then forget(redis.call('ZPOPMIN', dead)[1]) end
end

local function in_chunks(command, words)
  for from = 1, #words, 2000 do
    redis.call(command, jobs, unpack(words, from, math.min(from + 1999, #words)))
  end
end

-- Writes what changed, and wakes whoever waits.
local function finish()
  local set, gone = {}, {}
  for id in pairs(changed) do
    local job = held[id]
    if job then
      set[#set + 1] = id
      set[#set + 1] = cmsgpack.pack(job)
    else
      gone[#gone + 1] = id
    end
  end
  in_chunks('HSET', set)
  in_chunks('HDEL', gone)
  if last then redis.call('SET', newest, string.format('%.0f', last)) end
  if ring and redis.call('EXISTS', prios) == 1 then redis.call('PUBLISH', channel, queue) end
end

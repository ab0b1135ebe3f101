-- Name, due, priority, most attempts; and so on. Gives how many were not there. A dead job stays dead.
local ids = {}
for at = 3, #ARGV, 4 do ids[#ids + 1] = ARGV[at] end
load(ids)
local new = 0
for at = 3, #ARGV, 4 do
  local id, due, prio = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local job = held[id]
  if not job then
    new = new + 1
    place(id, {WAITING, due, prio, number(), 0, tonumber(ARGV[at + 3]), 0, 0, 0, 0, ''}, due)
  elseif job[STATE] == CLAIMED then
    if job[AGAIN] == 1 then
      due, prio = math.min(due, job[AGAIN_AT]), math.max(prio, job[AGAIN_PRIO])
    end
    job[AGAIN], job[AGAIN_AT], job[AGAIN_PRIO] = 1, due, prio
    keep(id, job)
  elseif job[STATE] ~= DEAD and (due < job[AT] or prio > job[PRIO]) then
    leave(id, job)
    job[PRIO] = math.max(prio, job[PRIO])
    place(id, job, math.min(due, job[AT]))
  end
end
finish()
return new

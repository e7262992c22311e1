-- Weights and rates. A queue's rules are a hash, name → 'weight rate burst': the name is '' for the whole queue,
-- a workspace, or workspace:key; a rate of 0 is none. A rate's bucket is one number, by GCRA (ITU-T I.371).
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)

local NONE = {
  look = function(_, count) return 1, count end,
  spend = function() end,
}

local function rules_of(home)
  if redis.call('EXISTS', home .. ':rules') == 0 then
    return NONE
  end
  local known = {}

  local function rule(name)
    if known[name] == nil then
      local text = redis.call('HGET', home .. ':rules', name)
      local weight, rate, burst = string.match(text or '1 0 1', '^(%S+) (%S+) (%S+)$')
      rate, burst = tonumber(rate), tonumber(burst)
      known[name] = {weight = tonumber(weight), rate = rate, burst = burst > 0 and burst or math.max(1, math.ceil(rate))}
    end
    return known[name]
  end

  local function arrival(name)
    return math.max(micros, tonumber(redis.call('GET', home .. ':bucket:' .. name) or 0))
  end

  -- Weight, how many of `count` may go now, and where that is fewer than wanted: when the next one may, ms.
  local function look(name, count)
    local found = rule(name)
    if found.rate == 0 then
      return found.weight, count
    end
    local interval = 1000000 / found.rate
    local early = arrival(name) - micros
    local open = math.max(0, math.floor(found.burst - early / interval + 1e-6))
    if open >= count then
      return found.weight, count
    end
    return found.weight, open, (micros + early - (found.burst - open - 1) * interval) / 1000
  end

  local function spend(name, count)
    local found = rule(name)
    if found.rate > 0 and count > 0 then
      local full = arrival(name) + count * 1000000 / found.rate
      local left = math.max(1, math.ceil((full - micros) / 1000))
      redis.call('SET', home .. ':bucket:' .. name, string.format('%.0f', full), 'PX', left)
    end
  end

  return {look = look, spend = spend}
end

local t = {} t.t = t
return { f = function(p) if p.facts.n == 1 then return t end if p.facts.n == 2 then return 0/0 end
  return getmetatable and 1 or error({ code = 7 }) end }
--json
{"facts":{"n":2}}

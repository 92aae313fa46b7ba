return { f = function(p) local t = {} for k, v in pairs(p.facts) do table.insert(t, k) end
  table.sort(t, function(a, b) return a > b end)
  pcall(function() while true do end end) return t end }
--json
{"facts":{"b":1,"a":2.5,"c":null}}

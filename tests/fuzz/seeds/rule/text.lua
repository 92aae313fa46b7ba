return { f = function(p) return { string.format("%d %s %q %5.2f", 3, p.facts.name, "x\n", 1.5),
  ("a"):rep(300):find(".-.-.-b"), tostring(1e15), #p.facts.name, p.facts.name:gsub("%w+", "%0%0"),
  utf8 and utf8.len("é"), math.floor(2.7), math.tointeger(3.0), now(), random() } end }
--json
{"facts":{"name":"Zoë & Co \u0000 \ud83d\ude00"}}

return { domain = "r", subject = "facts", rules = { { id = "r.large", severity = "warning", owner = "T",
  fires = function(facts) return facts.amount > 3 end, message = "{amount} is much", fix = "Ask" } },
  f = function(p) return { n = #p.facts.list, s = ("x"):rep(3) } end }
--json
{"facts":{"amount":5,"list":[1,2,3],"name":"Ann"}}

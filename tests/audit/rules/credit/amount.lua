-- SPDX-License-Identifier: MIT
return {
  domain = "amount",
  subject = "facts",
  rules = {
    {
      id = "amount.large",
      severity = "warning",
      owner = "Treasury",
      fires = function(facts)
        return facts.amount > 1000
      end,
      message = "{amount} is much for {name}",
      fix = "Ask a lead",
    },
  },
}

-- SPDX-License-Identifier: MIT
return {
  domain = "thing",
  subject = "facts.thing",
  rules = {
    {
      id = "thing.missing_id",
      severity = "violation",
      owner = "Nobody",
      fires = function(thing, all)
        return missing(thing.id)
      end,
      message = "The thing has no id",
      fix = "Give it one",
    },
  },
}

-- SPDX-License-Identifier: MIT
return {
  decide = function(v)
    local reasons = {}
    for _, f in ipairs(v.warnings) do
      table.insert(reasons, f.id .. ": " .. f.message)
    end
    return #reasons > 0 and "ASK" or "PAY", reasons
  end,
}

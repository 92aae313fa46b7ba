-- SPDX-License-Identifier: MIT
return {
  decide = function(v)
    return #v.violations + #v.warnings > 0 and "NO" or "YES", { "because" }
  end,
}

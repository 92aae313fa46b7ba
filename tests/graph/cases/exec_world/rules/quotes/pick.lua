return {
  decide = function() return "YES", {} end,
  choose = function(v) return { day = today(), asked = v.name } end,
  fallback = function(v) return "as usual for " .. v.name end,
}

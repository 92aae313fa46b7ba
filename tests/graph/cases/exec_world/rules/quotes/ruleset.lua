return { name = "quotes", version = "1", summary = "s", domains = {}, decide = "pick.decide", decisions = { "YES", "NO" } }

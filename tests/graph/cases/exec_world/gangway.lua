return { graphs = ".", rules = "rules" }

return { graphs = "graphs", store = "state/s.db", plugins = "none" }

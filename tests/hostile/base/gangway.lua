-- The configuration that every case begins with; a case may bring its own.
return {
  connections = {
    http = { url = "env:CONTROL|http://127.0.0.1:9", private = true, retries = 0, timeout_ms = 2000 },
  },
}

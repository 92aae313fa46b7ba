-- Gangway's configuration.  Paths count from this file's folder; docs/reference/configuration.md has every key.
--
-- Addresses and secrets come from the environment ("env:NAME") or from files ("file:PATH"), never from here.
-- "env:NAME|text" takes the text where the variable is not set (not for secrets).
-- For the sandbox:   eval "$(gangway-sandbox --env --port 21000)"   sets them all.

return {
  store     = "state/gangway.db", -- runs, journals, tasks
  artifacts = "out",              -- reports, mails, audits
  graphs    = "graphs",
  rules     = "rules",
  prompts   = "prompts",

  connections = {
    salesforce = {
      url  = "env:SALESFORCE_URL",
      auth = {
        kind = "oauth2_client", token_path = "/services/oauth2/token",
        client_id = "env:SALESFORCE_CLIENT_ID", client_secret = "env:SALESFORCE_CLIENT_SECRET",
      },
      settings = { api_version = "60.0" },
      private  = true, -- the sandbox lives on this machine; leave it out for the real service
    },

    netsuite = {
      url  = "env:NETSUITE_URL",
      auth = {
        kind = "oauth1_tba", realm = "env:NETSUITE_REALM",
        consumer_key = "env:NETSUITE_CONSUMER_KEY", consumer_secret = "env:NETSUITE_CONSUMER_SECRET",
        token = "env:NETSUITE_TOKEN", token_secret = "env:NETSUITE_TOKEN_SECRET",
      },
      concurrency = 5, -- what NetSuite gives a small account
      private     = true,
    },

    clm = {
      url      = "env:CLM_URL",
      auth     = { kind = "bearer", token = "env:CLM_TOKEN" },
      settings = { account_id = "env:CLM_ACCOUNT" },
      private  = true,
    },

    -- Advice only: without a key the rules of rules/onboarding/advice.lua speak instead.
    llm = {
      url      = "env:OPENAI_BASE_URL|https://api.openai.com/v1",
      auth     = { kind = "bearer", token = "env:OPENAI_API_KEY" },
      settings = { model = "env:OPENAI_MODEL|gpt-4o-mini" },
      timeout_ms = 30000,
      retries    = 1,
      optional   = true,
      private    = true,
    },

    slack = {
      url     = "env:SLACK_URL|https://slack.com",
      auth    = { kind = "bearer", token = "env:SLACK_TOKEN" },
      private = true,
    },

    provision = {
      url     = "env:PROVISION_URL",
      auth    = { kind = "bearer", token = "env:PROVISION_TOKEN" },
      private = true,
    },

    email = {
      url      = "env:SMTP_URL",
      from     = "env:MAIL_FROM|onboarding@gangway.example",
      starttls = "none", -- the sandbox speaks no TLS; "required" for a real server
      private  = true,
    },

    -- The sandbox's control port, for /demo/...; left out where there is none.
    sandbox = { plugin = "http", url = "env:CONTROL_URL", optional = true, private = true },
  },

  serve = {
    demo = { graph = "onboarding", connection = "sandbox" },
    -- webhooks = {
    --   onboarding = { scheme = "standard", secret = "env:ONBOARDING_WEBHOOK_SECRET", rate_per_s = 100 },
    -- },
    -- slack = { secret = "env:SLACK_SIGNING_SECRET", people = { U0ANN = { person = "ann", roles = { "approver" } } } },
  },
}

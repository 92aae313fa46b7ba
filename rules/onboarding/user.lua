-- SPDX-License-Identifier: MIT
-- User: is the account's owner somebody who works here and can be reached?
--
-- Input   facts.user  Id, IsActive, Email, ProfileId, Title, Department, ManagerId
-- Example { Id = "005...", IsActive = false, Email = "o@example.com", ... } gives the violation
--         user.inactive: BLOCK.  An account without an owner has no user; account.missing_owner warns of it.

return {
  domain = "user",
  subject = "facts.user",
  rules = {
    {
      id = "user.missing_id",
      severity = "violation",
      owner = "IT/DevOps",
      fires = function(user)
        return missing(user.Id)
      end,
      message = "The account's owner is not a user of Salesforce",
      fix = "Give the account to an existing user",
    },
    {
      id = "user.inactive",
      severity = "violation",
      owner = "IT/DevOps",
      fires = function(user)
        return user.IsActive ~= true
      end,
      message = "The account's owner {Name} ({Id}) is not active",
      fix = "Give the account to an active user, or activate this one",
    },
    {
      id = "user.missing_email",
      severity = "violation",
      owner = "IT/DevOps",
      fires = function(user)
        return missing(user.Email)
      end,
      message = "The account's owner {Name} has no e-mail address",
      fix = "Enter the e-mail address in the user's record",
    },
    {
      id = "user.missing_profile",
      severity = "violation",
      owner = "IT/DevOps",
      fires = function(user)
        return missing(user.ProfileId)
      end,
      message = "The account's owner {Name} has no profile",
      fix = "Assign a profile to the user in Salesforce",
    },
    {
      id = "user.missing_title",
      severity = "warning",
      owner = "IT/DevOps",
      fires = function(user)
        return missing(user.Title)
      end,
      message = "The account's owner {Name} has no title",
      fix = "Enter the title in the user's record",
    },
    {
      id = "user.missing_department",
      severity = "warning",
      owner = "IT/DevOps",
      fires = function(user)
        return missing(user.Department)
      end,
      message = "The account's owner {Name} has no department",
      fix = "Enter the department in the user's record",
    },
    {
      id = "user.missing_manager",
      severity = "warning",
      owner = "IT/DevOps",
      fires = function(user)
        return missing(user.ManagerId)
      end,
      message = "The account's owner {Name} has no manager",
      fix = "Enter the manager in the user's record; escalations go there",
    },
  },
}

"""Who may call: nobody without a bearer token, unless authentication is switched off."""

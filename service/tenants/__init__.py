"""Who asks: tenants, their keys, limits and tokens upstream, and the log of who changed them.

A `Tenant` is the only way to a query on tenants' rows: `tenant.rows(table)` is already narrowed to it.
Keys are random, so one SHA-256 is enough to store them; what is stored cannot be used to call.
"""

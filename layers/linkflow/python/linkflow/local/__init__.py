"""The stack of one machine: Postgres and Valkey out of wheels, so that nothing has to be installed.

`LocalStack` (in `linkflow.local.stack`) starts what the configuration does not already name. This package stays empty
and its modules import late: a process with its own `DATABASE_URL` and `REDIS_URL` pays for none of it.
"""

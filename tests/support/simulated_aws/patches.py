"""All that this AWS does and moto does not, in the order in which it is put in."""

from simulated_aws import budgets, calls, ec2, ecs, functions, rds, s3, tags

PATCHES = (
    *calls.PATCHES,
    *ec2.PATCHES,
    *tags.PATCHES,
    *ecs.PATCHES,
    *rds.PATCHES,
    *functions.PATCHES,
    *budgets.PATCHES,
    *s3.PATCHES,
)

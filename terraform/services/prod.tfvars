# only inside the bank's network; at least two serving tasks, in two zones
internal                   = true
serving_cpu                = 1024
serving_memory             = 2048
autoscaling_min_capacity   = 2
autoscaling_max_capacity   = 8
front_reserved_concurrency = 20
monthly_budget             = 1000

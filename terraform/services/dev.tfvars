# one small task of each service; the load balancer is open to the internet, the API requires keys
internal       = false
monthly_budget = 350

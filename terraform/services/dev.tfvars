# one small task of each; the load balancer is open to the internet, the API asks for keys
internal       = false
monthly_budget = 350

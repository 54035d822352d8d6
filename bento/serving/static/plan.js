// What so many calls are expected to bring.

export class Plan {
  /** @param {Float64Array} subscriptions [n]: expected among the best n; @param {{value: number, cost: number}} prices */
  constructor(subscriptions, prices) {
    this.subscriptions = subscriptions;
    this.prices = prices;
    this.count = subscriptions.length - 1;
  }

  /** Of calling the best `calls`; `random` and `randomProfit` are what as many calls would bring without a ranking. */
  outlook(calls) {
    const subscriptions = this.subscriptions[calls];
    const all = this.subscriptions[this.count];
    const random = this.count ? (all * calls) / this.count : 0;
    return {
      subscriptions,
      profit: subscriptions * this.prices.value - calls * this.prices.cost,
      share: all ? subscriptions / all : 0,
      random,
      randomProfit: random * this.prices.value - calls * this.prices.cost,
      gain: random ? subscriptions / random - 1 : 0,
    };
  }

  /** How many calls bring the most: the best are called first, so all whose own chance pays. */
  mostProfitable() {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      const chance = this.subscriptions[middle + 1] - this.subscriptions[middle];
      if (chance * this.prices.value > this.prices.cost) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

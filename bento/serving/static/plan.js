// Expected subscriptions and profit by number of calls.

export class Plan {
  /** @param {Float64Array} subscriptions [n]: expected subscriptions among the best n; @param {{value: number, cost: number}} prices */
  constructor(subscriptions, prices) {
    this.subscriptions = subscriptions;
    this.prices = prices;
    this.count = subscriptions.length - 1;
  }

  /** Outlook of calling the best `calls` customers; `random` and `randomProfit` are those of as many random calls. */
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

  /** The most profitable number of calls: rows are sorted by chance, so it is the number of rows whose own call pays. */
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

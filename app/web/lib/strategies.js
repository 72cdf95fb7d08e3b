// What each strategy does, in a line. One that is not here is shown by its name alone.
export const STRATEGIES = {
  fitted: "The samples from which a head learns best. Reads all labels of the pool: saves training, not labelling.",
  coverage: "The samples that the others lie near to. Reads no label: for deciding what to label.",
  medoids: "The centres of clusters inside each class, equally many a class.",
  stratified: "The same number from every class, at random.",
  uniform: "At random from the whole pool: the one to beat.",
  mixed: "SD for a share alpha, RS for the rest: the paper's MS.",
  set_difference: "From the classes farthest from the source: the paper's SD.",
  random_selection: "From the classes nearest to the source: the paper's RS.",
  extended: "The whole pool: what the budget saves.",
};

const MEASURES = new Set(["mixed", "set_difference", "random_selection"]);
const known = Object.keys(STRATEGIES);
const rank = (name) => (known.includes(name) ? known.indexOf(name) : known.length);

/** Whether a strategy measures from a source. */
export const measures = (strategy) => MEASURES.has(strategy);

/** Names of strategies, the most useful first. */
export const ordered = (names) => [...names].sort((one, other) => rank(one) - rank(other));

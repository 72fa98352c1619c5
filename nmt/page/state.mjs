/** The decoder state that search carries from step to step and reorders without knowing the model. */

export class DecoderState {
  /**
   * @param perSentence shared by all hypotheses: for each layer the source's keys and values
   * @param perHypothesis for each hypothesis, for each layer, its past positions' keys and values
   */
  constructor(perSentence, perHypothesis) {
    this.perSentence = perSentence;
    this.perHypothesis = perHypothesis;
  }

  /** Positions written so far. */
  get length() {
    return this.perHypothesis[0][0].length;
  }

  /** The state of hypotheses that continue those at `parents`. */
  select(parents) {
    return new DecoderState(this.perSentence, parents.map((parent) => this.perHypothesis[parent]));
  }
}

/** The decoder state that search carries from step to step and reorders without knowing the model. */

export class DecoderState {
  /**
   * @param perSentence shared by all hypotheses, such as the encoder's output
   * @param perHypothesis one per hypothesis, such as a recurrent state
   * @param length positions written so far
   */
  constructor(perSentence, perHypothesis, length) {
    this.perSentence = perSentence;
    this.perHypothesis = perHypothesis;
    this.length = length;
  }

  /** The state of hypotheses that continue those at `parents`. */
  select(parents) {
    return new DecoderState(this.perSentence, parents.map((parent) => this.perHypothesis[parent]), this.length);
  }
}

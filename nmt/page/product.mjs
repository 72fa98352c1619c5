/**
 * The product that nearly all time goes into, in WebAssembly with vectors of four numbers. The module is so small that it is
 * assembled here, instruction by instruction.
 */

const PAGE = 65536;
/** Bytes for a product's arguments and result. */
const SCRATCH = 2 ** 23;

const [X, W, Y, ROWS, WIDTH, STRIDE, OUTPUTS] = [0, 1, 2, 3, 4, 5, 6]; // parameters
const [XI, WI, END, ROW, OUTPUT, XR, YR, W1, W2, W3] = [7, 8, 9, 10, 11, 12, 13, 14, 15, 16]; // i32
const [SUMS, VALUES] = [[17, 18, 19, 20], 21]; // v128

const leb = (number) => (number < 128 ? [number] : [(number & 127) | 128, ...leb(number >>> 7)]);
const vector = (items) => [...leb(items.length), ...items.flat()];
const section = (id, content) => [id, ...leb(content.length), ...content];
const name = (text) => vector([...new TextEncoder().encode(text)]);

const I32 = 0x7f;
const V128 = 0x7b;
const get = (local) => [0x20, local];
const set = (local, ...value) => [...value.flat(), 0x21, local];
const constant = (number) => [0x41, ...leb(number)]; // of numbers below 64
const add = (left, right) => [...left, ...right, 0x6a];
const less = (left, right) => [...left, ...right, 0x49];
/** A block that is run again while a condition holds. */
const repeat = (condition, ...body) => [0x03, 0x40, ...body.flat(), ...condition, 0x0d, 0, 0x0b];
const load = (address) => [...address, 0xfd, 0x00, 2, 0];
const zeros = [0xfd, 0x0c, ...Array.from({ length: 16 }, () => 0)];
const vectorAdd = (left, right) => [...left, ...right, 0xfd, 0xe4, 0x01];
const vectorMultiply = (left, right) => [...left, ...right, 0xfd, 0xe6, 0x01];
const lane = (local, number) => [...get(local), 0xfd, 0x1f, number];
const total = (local) => [...lane(local, 0), ...[1, 2, 3].flatMap((number) => [...lane(local, number), 0x92])];
const store = (address, offset, value) => [...address, ...value, 0x38, 2, offset];

/**
 * product(x, w, y, rows, width, stride, outputs): y = x w^T, all float32 at byte addresses. A row of x and of w has `width`
 * bytes, a multiple of 16, a row of y `stride` bytes; `outputs`, the rows of w, is a multiple of 4.
 */
const BODY = [
  set(OUTPUT, constant(0)),
  repeat(
    less(get(OUTPUT), get(OUTPUTS)),
    set(XR, get(X)),
    set(YR, get(Y)),
    set(ROW, constant(0)),
    repeat(
      less(get(ROW), get(ROWS)),
      ...SUMS.map((sum) => set(sum, zeros)),
      set(XI, get(XR)),
      set(WI, get(W)),
      set(W1, add(get(W), get(WIDTH))),
      set(W2, add(get(W1), get(WIDTH))),
      set(W3, add(get(W2), get(WIDTH))),
      set(END, add(get(XR), get(WIDTH))),
      repeat(
        less(get(XI), get(END)),
        set(VALUES, load(get(XI))),
        ...[WI, W1, W2, W3].map((row, i) => set(SUMS[i], vectorAdd(get(SUMS[i]), vectorMultiply(get(VALUES), load(get(row)))))),
        ...[XI, WI, W1, W2, W3].map((pointer) => set(pointer, add(get(pointer), constant(16)))),
      ),
      ...SUMS.map((sum, i) => store(get(YR), 4 * i, total(sum))),
      set(XR, get(END)),
      set(YR, add(get(YR), get(STRIDE))),
      set(ROW, add(get(ROW), constant(1))),
    ),
    set(W, get(W3)), // one past the fourth row
    set(Y, add(get(Y), constant(16))),
    set(OUTPUT, add(get(OUTPUT), constant(4))),
  ),
].flat();

function assembled() {
  const locals = vector([[10, I32], [5, V128]]);
  const body = [...locals, ...BODY, 0x0b];
  return Uint8Array.from([
    0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, vector([[0x60, ...vector(Array.from({ length: 7 }, () => [I32])), ...vector([])]])),
    ...section(2, vector([[...name("page"), ...name("memory"), 0x02, 0x00, 1]])),
    ...section(3, vector([[0]])),
    ...section(7, vector([[...name("product"), 0x00, 0]])),
    ...section(10, vector([[...leb(body.length), ...body]])),
  ]);
}

/** Each memory's product, by its buffer. */
const products = new WeakMap();

/** Room for matrices that are multiplied: `take(length)` gives the next Float32Array of it. */
export function room(lengths) {
  const bytes = assembled();
  if (!globalThis.WebAssembly?.validate(bytes)) return (length) => new Float32Array(length);
  const sizes = lengths.reduce((sum, length) => sum + aligned(length), 0);
  const memory = new WebAssembly.Memory({ initial: Math.ceil((SCRATCH + sizes) / PAGE) });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes), { page: { memory } });
  products.set(memory.buffer, exports.product);
  let start = SCRATCH;
  return (length) => {
    const taken = new Float32Array(memory.buffer, start, length);
    start += aligned(length);
    return taken;
  };
}

function aligned(length) {
  return 16 * Math.ceil(length / 4);
}

/**
 * y = x w^T for the outputs that come in fours: x [rows, inputs], w [outputs, inputs], y [rows, outputs].
 * @returns how many outputs are done: none where w is not in a `room`, or of an odd width
 */
export function multiply(x, weight, y, inputs) {
  const product = inputs % 4 === 0 ? products.get(weight.buffer) : undefined;
  if (!product) return 0;
  const outputs = weight.length / inputs;
  const whole = outputs - (outputs % 4);
  const most = Math.max(1, Math.floor(SCRATCH / 4 / (inputs + outputs)));
  const rows = x.length / inputs;
  for (let row = 0; row < rows; row += most) {
    const count = Math.min(most, rows - row);
    const scratch = new Float32Array(weight.buffer, 0, count * (inputs + outputs));
    scratch.set(x.subarray(row * inputs, (row + count) * inputs));
    product(0, weight.byteOffset, 4 * count * inputs, count, 4 * inputs, 4 * outputs, whole);
    y.set(scratch.subarray(count * inputs), row * outputs);
  }
  return whole;
}

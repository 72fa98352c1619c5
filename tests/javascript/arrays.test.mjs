import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import test from "node:test";

import { bytesFromBase85 } from "../../nmt/page/arrays.mjs";

const PYTHON = `
import base64, sys
content = bytes(range(256)) + b"\\xff" * int(sys.argv[1])
print(base64.b85encode(content).decode().translate(str.maketrans("<>&", ",.:")), end="")
`;

test("base85 gives back every byte that Python wrote", () => {
  for (const more of [0, 1, 2, 3, 4]) {
    const text = execFileSync("python3", ["-c", PYTHON, String(more)], { encoding: "utf8" });
    const bytes = [...Array(256).keys(), ...Array(more).fill(255)];
    assert.deepEqual([...bytesFromBase85(text)], bytes);
  }
});

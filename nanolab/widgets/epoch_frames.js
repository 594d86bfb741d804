// What epochs find in one image, unpacked when asked for, and drawn as pictures of the image's own size.

// Okabe and Ito's colours, told apart with any colour vision.
const PARTICLES = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];
const FOUND = [230, 159, 0], ANNOTATED = [255, 120, 200], GAINED = [86, 180, 233], LOST = [213, 94, 0];
const UNPACKED = 24, PICTURES = 24; // the most of each that stay in memory

// Keep the results last asked for.
function remember(limit, make) {
  const kept = new Map();
  return (key, ...rest) => {
    const had = kept.get(key);
    const value = had === undefined ? make(key, ...rest) : had;
    kept.delete(key);
    kept.set(key, value);
    if (kept.size > limit) kept.delete(kept.keys().next().value);
    return value;
  };
}

async function inflate(view) {
  const stream = new Blob([view]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// Particle numbers come as two planes, low bytes and high bytes.
function joined(low, high) {
  return Uint16Array.from(low, (value, at) => value + 256 * high[at]);
}

// Where a region ends: inside it, at most `reach` pixels from another one.
function outline(regions, height, width, reach, mark) {
  for (let row = 0; row < height; row++) {
    for (let col = 0; col < width; col++) {
      const at = row * width + col, own = regions[at];
      if (!own) continue;
      for (let step = 1; step <= reach; step++) {
        if (
          (col >= step && regions[at - step] !== own) || (col + step < width && regions[at + step] !== own) ||
          (row >= step && regions[at - step * width] !== own) || (row + step < height && regions[at + step * width] !== own)
        ) {
          mark(at, own);
          break;
        }
      }
    }
  }
}

// Load everything that `model` holds; the functions returned are all that a view needs.
async function load(model) {
  const [height, width] = model.get("shape"), size = height * width;
  const threshold = model.get("threshold"), frames = model.get("frames");
  const image = await inflate(model.get("image"));
  const truth = model.get("truth").byteLength ? await inflate(model.get("truth")) : null;
  const annotated = truth && joined(truth.subarray(0, size), truth.subarray(size));
  const asked = new Map(); // by position, whom to give what the kernel sends
  const answered = ({ frame }, buffers) => {
    asked.get(frame)?.(buffers[0]);
    asked.delete(frame);
  };
  if (!frames.length) model.on("msg:custom", answered);
  const ask = (position) => new Promise((done) => {
    asked.set(position, done);
    model.send({ frame: position });
  });
  const unpacked = remember(UNPACKED, async (position) => {
    const bytes = await inflate(frames[position] ?? (await ask(position)));
    const probability = bytes.subarray(0, size);
    return {
      probability,
      before: probability.map((value) => (value >= threshold ? 1 : 0)),
      after: joined(bytes.subarray(size, 2 * size), bytes.subarray(2 * size)),
    };
  });

  function grey(share, base) {
    const pixels = new ImageData(width, height), data = pixels.data;
    for (let at = 0; at < size; at++) {
      data[4 * at] = data[4 * at + 1] = data[4 * at + 2] = base + share * image[at];
      data[4 * at + 3] = 255;
    }
    return pixels;
  }

  function mix(data, at, colour, share) {
    for (let band = 0; band < 3; band++) data[4 * at + band] += share * (colour[band] - data[4 * at + band]);
  }

  function fill(data, regions, colourOf) {
    for (let at = 0; at < size; at++) if (regions[at]) mix(data, at, colourOf(regions[at]), 0.4);
    outline(regions, height, width, 1, (at, own) => mix(data, at, colourOf(own), 1));
  }

  const draw = {
    contours(data, frame, regions, _, reach) {
      outline(regions, height, width, reach, (at) => mix(data, at, FOUND, 1));
    },
    particles(data, frame, regions) {
      const many = regions === frame.after;
      fill(data, regions, (own) => (many ? PARTICLES[own % PARTICLES.length] : FOUND));
    },
    probability(data, frame) {
      for (let at = 0; at < size; at++) data[4 * at] = data[4 * at + 1] = data[4 * at + 2] = frame.probability[at];
    },
    difference(data, frame, regions, previous) {
      for (let at = 0; at < size; at++) {
        if (regions[at] && !previous[at]) mix(data, at, GAINED, 0.9);
        else if (!regions[at] && previous[at]) mix(data, at, LOST, 0.9);
      }
    },
  };

  async function paint(position, show, post, truthShown, reach) {
    const frame = await unpacked(position), kind = post ? "after" : "before";
    const earlier = show === "difference" && position > 0 ? await unpacked(position - 1) : frame;
    const pixels = show === "difference" ? grey(0.6, 60) : grey(1, 0);
    draw[show](pixels.data, frame, frame[kind], earlier[kind], reach);
    if (truthShown && annotated) {
      outline(annotated, height, width, reach, (at) => mix(pixels.data, at, ANNOTATED, 1));
    }
    const picture = new OffscreenCanvas(width, height);
    picture.getContext("2d").putImageData(pixels, 0, 0);
    return picture;
  }

  const pictures = remember(PICTURES, (key, ...rest) => paint(...rest));
  return {
    height,
    width,
    hasTruth: annotated !== null,
    onDemand: !frames.length,
    stop: () => model.off("msg:custom", answered),
    picture: (...what) => pictures(what.join(), ...what),
    small: (position) => paint(position, "particles", true, false, 1), // for a thumbnail: not worth keeping
  };
}

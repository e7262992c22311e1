// What stands around every script: one realm for one run. It takes away what makes code out of text and what tells the
// time, and gives back the helpers that expressions are compiled to (domain/expressions/script.py).
(() => {
  "use strict";
  const { parse, stringify } = JSON;
  const { hasOwn, keys, fromEntries, defineProperty, getPrototypeOf } = Object;
  const { isArray } = Array;
  const { construct } = Reflect;
  const RealDate = Date, NativeError = Error, Text = String, NativeSet = Set, NativeMap = Map;
  const { floor, round, abs, min } = Math;

  // --- no code from text, no clock, no chance, no memory shared with anybody

  const refuse = function () {
    throw new TypeError("code cannot be made from text here");
  };
  for (const one of [function () {}, async function () {}, function* () {}, async function* () {}]) {
    defineProperty(getPrototypeOf(one), "constructor", { value: refuse, writable: false, configurable: false });
  }
  refuse.prototype = getPrototypeOf(refuse);
  globalThis.Function = refuse;
  for (const name of ["eval", "SharedArrayBuffer", "Atomics", "WeakRef", "FinalizationRegistry", "performance"]) {
    delete globalThis[name];
  }
  delete NativeError.prepareStackTrace;

  let nowText = "1970-01-01T00:00:00Z", nowMs = 0, seed = 0;
  function FixedDate(...given) {
    if (!new.target) return new RealDate(nowMs).toString();
    return construct(RealDate, given.length ? given : [nowMs], new.target);
  }
  FixedDate.prototype = RealDate.prototype;
  defineProperty(RealDate.prototype, "constructor", { value: FixedDate, writable: false, configurable: false });
  FixedDate.now = () => nowMs;
  FixedDate.parse = RealDate.parse;
  FixedDate.UTC = RealDate.UTC;
  globalThis.Date = FixedDate;
  // mulberry32: the same seed gives the same numbers
  const chance = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  Math.random = chance;

  // --- the log

  const MAX_LINES = 200, MAX_LINE = 2000;
  const lines = [];
  let dropped = 0;
  const show = (value) => {
    if (typeof value === "string") return value;
    if (value instanceof NativeError) return `${value.name}: ${value.message}`;
    try {
      return stringify(value, plain) ?? Text(value);
    } catch {
      return Text(value);
    }
  };
  const write = (level) => (...values) => {
    if (lines.length >= MAX_LINES) return void dropped++;
    const line = level + values.map(show).join(" ");
    lines.push(line.length > MAX_LINE ? line.slice(0, MAX_LINE) + "…" : line);
  };
  globalThis.console = {
    log: write(""), info: write(""), debug: write("DEBUG "), warn: write("WARNING "), error: write("ERROR "),
  };

  // --- results

  const plain = (key, value) => {
    // Half a surrogate pair is no character: it could be stored nowhere.
    if (typeof value === "string") return value.isWellFormed() ? value : value.toWellFormed();
    if (value instanceof NativeSet) return [...value];
    if (value instanceof NativeMap) return fromEntries(value);
    return typeof value === "bigint" ? Number(value) : value;
  };
  let outcome = null;
  const failed = (error) => {
    // The engine throws null where not even an error has room.
    if (error === null) return { error: { name: "InternalError", message: "out of memory", stack: "" } };
    const known = error instanceof NativeError;
    const text = (value) => (typeof value === "string" ? value.slice(0, 1000) : "");
    const name = known ? text(error.name) : "Error";
    let message = known ? text(error.message) : "";
    if (!known) message = "thrown: " + show(error).slice(0, 1000);
    return { error: { name, message, stack: known && typeof error.stack === "string" ? error.stack.slice(0, 4000) : "" } };
  };
  const settle = (value) => {
    try {
      outcome = { json: stringify(value, plain) ?? "null" };
    } catch (error) {
      outcome = failed(error);
    }
  };

  // --- expressions

  // What a value may have besides its own keys.
  const READABLE = { __proto__: null, length: 1, size: 1, source: 1, flags: 1, global: 1, message: 1, name: 1 };
  const text = (value) => (typeof value === "string" ? value : Text(value));
  const get = (owner, key) => {
    if (owner == null || typeof owner === "function") return null;
    if (typeof key !== "string" && typeof key !== "number") key = Text(key); // once: a key cannot change its mind
    if (hasOwn(owner, key)) return owner[key] ?? null;
    return READABLE[key] && (typeof owner === "string" || typeof owner === "object") ? (owner[key] ?? null) : null;
  };
  const nullOr = (make) => (value, ...rest) => (value == null ? null : make(text(value), ...rest));
  const whole = (value, otherwise) => {
    if (value == null) return otherwise;
    const number = Number(value);
    return number !== number ? 0 : Math.trunc(Math.max(-(2 ** 53), min(2 ** 53, number)));
  };
  const objectOnly = (value) => value !== null && typeof value === "object";
  const decode = (value) => {
    if (typeof value !== "string") return value ?? null;
    try {
      return parse(value);
    } catch {
      throw new TypeError("the text is not valid JSON");
    }
  };
  const encode = (value, replacer, indent) => {
    if (replacer != null) throw new TypeError("the second argument must be null");
    return stringify(value ?? null, plain, indent ?? undefined) ?? "null";
  };
  const shift = (number, places) => {
    const [digits, exponent = "0"] = Text(number).split("e");
    return Number(`${digits}e${Number(exponent) + places}`);
  };
  const roundTo = (value, digits) => {
    if (value == null) return null;
    const number = Number(value), places = whole(digits, 0);
    if (places < 0 || places > 100) throw new RangeError("the number of digits must be between 0 and 100");
    if (!isFinite(number) || abs(number) >= 1e21) return number;
    return (number < 0 ? -1 : 1) * shift(round(shift(abs(number), places)), -places);
  };

  // --- dates: ISO 8601 in and out

  const UNITS = { ms: "millisecond", s: "second", sec: "second", m: "minute", min: "minute", h: "hour", d: "day",
    w: "week", M: "month", y: "year" };
  const LENGTHS = { millisecond: 1, second: 1e3, minute: 6e4, hour: 36e5, day: 864e5, week: 6048e5 };
  const MONTHS_IN = { month: 1, quarter: 3, year: 12 };
  const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December"];
  const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
  const two = (number) => Text(number).padStart(2, "0");
  const moment = (value) => {
    // milliseconds in UTC, and the minutes by which the date's own clock is ahead
    let at = NaN, offset = 0;
    if (typeof value === "number") at = value;
    if (value instanceof RealDate) at = value.getTime();
    if (typeof value === "string") {
      let iso = value.trim();
      const zone = /(?:([+-])(\d\d):?(\d\d)|Z)$/.exec(iso);
      const time = /[T ]\d/.test(iso);
      if (zone && zone[1]) offset = (zone[1] === "-" ? -1 : 1) * (zone[2] * 60 + Number(zone[3]));
      iso = iso.replace(" ", "T");
      if (/^\d{4}-\d\d-\d\d/.test(iso)) at = RealDate.parse(time && !zone ? iso + "Z" : iso);
    }
    if (at !== at) throw new TypeError("this is no date; give ISO 8601 text such as 2024-01-31T09:00:00Z");
    return [at, offset];
  };
  const inRange = (at) => {
    if (!(at >= -62135596800000 && at <= 253402300799999)) {
      throw new RangeError("the date is out of range (years 1 to 9999)");
    }
    return new RealDate(at).toISOString();
  };
  const dateAdd = (value, amount, unit) => {
    if (value == null) return null;
    const [at, offset] = moment(value);
    const count = Number(amount ?? 0), given = text(unit ?? "day");
    const name = hasOwn(UNITS, given) ? UNITS[given] : given.toLowerCase().replace(/s$/, "");
    if (hasOwn(LENGTHS, name)) return inRange(at + count * LENGTHS[name]);
    if (!hasOwn(MONTHS_IN, name)) throw new TypeError("unknown unit of time");
    const local = new RealDate(at + offset * 6e4), day = local.getUTCDate();
    local.setUTCDate(1);
    local.setUTCMonth(local.getUTCMonth() + Math.trunc(count) * MONTHS_IN[name]);
    const last = new RealDate(RealDate.UTC(local.getUTCFullYear(), local.getUTCMonth() + 1, 0)).getUTCDate();
    local.setUTCDate(min(day, last));
    return inRange(local.getTime() - offset * 6e4);
  };
  const FIELDS = /''|'[^']*'|[yY]{4}|[yY]{2}|M{1,4}|d{1,2}|D{1,2}|E{4}|E{1,3}|H{1,2}|h{1,2}|m{1,2}|s{1,2}|S{1,3}|a|A|X{1,3}|Z{1,3}/g;
  const dateFormat = (value, pattern) => {
    if (value == null) return null;
    const [at, offset] = moment(value);
    const d = new RealDate(at + offset * 6e4);
    const year = d.getUTCFullYear(), month = d.getUTCMonth(), hour = d.getUTCHours();
    const zone = offset ? `${offset < 0 ? "-" : "+"}${two(floor(abs(offset) / 60))}:${two(abs(offset) % 60)}` : "Z";
    const made = {
      yyyy: Text(year).padStart(4, "0"), yy: two(year % 100), MMMM: MONTHS[month], MMM: MONTHS[month].slice(0, 3),
      MM: two(month + 1), M: Text(month + 1), dd: two(d.getUTCDate()), d: Text(d.getUTCDate()),
      EEEE: DAYS[d.getUTCDay()], E: DAYS[d.getUTCDay()].slice(0, 3), HH: two(hour), H: Text(hour),
      hh: two(hour % 12 || 12), h: Text(hour % 12 || 12), mm: two(d.getUTCMinutes()), m: Text(d.getUTCMinutes()),
      ss: two(d.getUTCSeconds()), s: Text(d.getUTCSeconds()), a: hour < 12 ? "AM" : "PM",
    };
    return text(pattern ?? "yyyy-MM-dd").replace(FIELDS, (field) => {
      if (field[0] === "'") return field === "''" ? "'" : field.slice(1, -1);
      if (field[0] === "S") return Text(d.getUTCMilliseconds()).padStart(3, "0").slice(0, field.length);
      if (field[0] === "X" || field[0] === "Z") return zone;
      const name = field.replace(/Y/g, "y").replace(/D/g, "d").replace("A", "a");
      return made[name === "EE" || name === "EEE" ? "E" : name];
    });
  };

  const upper = nullOr((value) => value.toUpperCase());
  const lower = nullOr((value) => value.toLowerCase());
  const values = (value) => (objectOnly(value) ? keys(value).map((key) => value[key]) : []);
  const f = {
    __proto__: null,
    toUpper: upper, upper, toLower: lower, lower, trim: nullOr((value) => value.trim()),
    split: nullOr((value, by, most) => (by == null ? [value] : value.split(text(by), most ?? undefined))),
    replace: nullOr((value, old, fresh) => value.split(text(old ?? null)).join(text(fresh ?? null))),
    startsWith: (value, part) => value != null && text(value).startsWith(text(part)),
    endsWith: (value, part) => value != null && text(value).endsWith(text(part)),
    contains: (value, part) =>
      value == null ? false
      : isArray(value) ? value.includes(part)
      : typeof value === "object" ? hasOwn(value, text(part)) : text(value).includes(text(part)),
    length: (value) =>
      value == null ? 0
      : isArray(value) ? value.length : typeof value === "object" ? keys(value).length : [...text(value)].length,
    join: (items, by) => (items == null ? null : (isArray(items) ? items : [items]).join(by == null ? "," : text(by))),
    jsonParse: decode, fromJson: decode, "JSON.parse": decode,
    jsonStringify: encode, toJson: encode, "JSON.stringify": encode,
    now: () => nowText, dateAdd, dateFormat, round: roundTo, random: chance,
    randint: (low, high) => {
      const first = whole(low, 0), last = whole(high, 0);
      if (first > last) throw new RangeError("randint needs its lower bound first");
      return min(last, first + floor(chance() * (last - first + 1)));
    },
    Number: (value = 0) => Number(value), String: (value = "") => text(value), Boolean: (value) => !!value,
    "Object.keys": (value) => (objectOnly(value) ? keys(value) : []), "Object.values": values,
    "Object.entries": (value) => (objectOnly(value) ? keys(value).map((key) => [key, value[key]]) : []),
    "Object.fromEntries": (pairs) => fromEntries(pairs), "Array.isArray": isArray,
    "Object.assign": (target, ...sources) => Object.assign(target ?? {}, ...sources),
    "Math.random": chance,
  };
  f.len = f.length;
  const whence = { Math, Object, Array, Number, String: Text, Date: FixedDate };
  for (const name of ["parseInt", "parseFloat", "isNaN", "isFinite", "encodeURIComponent", "decodeURIComponent",
    "encodeURI", "decodeURI", "btoa", "atob"]) {
    f[name] = globalThis[name];
  }
  for (const owner of keys(whence)) {
    for (const name of Object.getOwnPropertyNames(whence[owner])) {
      const full = `${owner}.${name}`;
      if (typeof whence[owner][name] === "function" && !(full in f)) f[full] = whence[owner][name];
    }
  }
  // Number and Array work on what they are called on.
  for (const name of ["from", "of"]) f[`Array.${name}`] = Array[name].bind(Array);

  const $lf = {
    f, g: get, x: null,
    n: { __proto__: null, Date: FixedDate, RegExp, Map, Set, Array, Error, TypeError, RangeError, Object },
    t: (value) => (value == null ? "undefined" : typeof value),
    s: text,
    a: (value) => (value == null ? [] : [...value]),
    u: (value) => value ?? undefined,
    p: (value) => {
      if (value == null || (typeof value === "object" && !isArray(value))) return value;
      throw new TypeError("only an object or null can be spread here");
    },
    d: (value, otherwise) => value ?? otherwise(),
    i: (key, owner) => {
      if (owner == null) return false;
      if (typeof owner !== "object") throw new TypeError("'in' needs an object or an array on its right");
      return hasOwn(owner, typeof key === "object" ? Text(key) : key);
    },
    k: (key) => {
      const name = typeof key === "number" ? key : Text(key);
      if (name === "__proto__" || name === "constructor" || name === "prototype") {
        throw new TypeError(`nothing can be put under '${name}'`);
      }
      return name;
    },
    o: (value, taken) => {
      const rest = {};
      for (const key of keys(value ?? {})) if (!taken.some((one) => Text(one) === key)) rest[key] = value[key];
      return rest;
    },
    r: (pattern, flags) => new RegExp(pattern, flags),
  };

  // --- what the host calls

  return (what, made, data, time, chosen) => {
    if (what === "begin") {
      nowText = time;
      nowMs = RealDate.parse(time);
      seed = floor(chosen * 4294967296) | 0;
      return null;
    }
    if (what === "expression") {
      outcome = null;
      $lf.x = parse(data);
      try {
        settle(made($lf));
      } catch (error) {
        outcome = failed(error);
      }
    }
    if (what === "script") {
      // The names come from us, the values are parsed anew, so nothing is shared.
      const given = parse(data);
      outcome = null;
      made(...values(given), given.input, given.input).then(settle, (error) => void (outcome = failed(error)));
      return null;
    }
    if (what === "each") {
      const { items, ...given } = parse(data);
      const all = values(given), results = [];
      outcome = null;
      const run = async () => {
        for (const item of items) results.push(await made(...all, given.input, item, results.length, item));
        settle(results);
      };
      run().catch((error) => {
        outcome = failed(error);
        outcome.error.at = results.length;
      });
      return null;
    }
    return stringify({ ...(outcome ?? { pending: true }), logs: lines, dropped });
  };
})();

// Strings that tokenizers get wrong: every plane of Unicode, marks without a base, Hangul in pieces, digits
// of other scripts, white space of every kind, special tokens whole and torn, words without end.
'use strict';

// The same seed gives the same strings.
class Random {
  constructor(seed) { this.state = seed >>> 0; }
  below(n) {
    this.state = (Math.imul(this.state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.state / 4294967296) * n);
  }
  pick(list) { return list[this.below(list.length)]; }
}

const WORDS = ('the of and it\'s DON\'T we\'ll I\'VE \'tis y\'all\'d\'ve naïve café straße Übermut été İstanbul ISPARTA ſharp ﬁne Ⅷ ½ １２３ ' +
  '3.14159 1,000,000 1e-9 0x7fff 2024-11-23T10:00:00Z hello_world camelCase HTTPServer x=[i+1]; {"a":1} </div> <!-- ' +
  'http://example.com/?q=a&b=c #tag @name ... !? -- — “quoted” ‘it’ can’t ʼn ' +
  '日本語 東京タワー ﾀﾜｰ 中文字符 한국어 हिन्दी क्षत्रिय தமிழ் العربية السَّلَامُ עִבְרִית ไทย กำ Ελληνικά ΣΊΣΥΦΟΣ Русский Й Việt ạ̈ ǅ ŉ ǰ ΐ ᾳ ﬃ ㎏ ㍿ ① ℵ').split(' ');
const BLANKS = [' ', '  ', '   ', '\n', '\n\n', '\r\n', '\r', '\n\r', '\t', '\t\t', ' \n', '\n ', '\u000b', '\u000c', '\u001c', '\u001f', '\u0085', '\u00a0',
  '\u1680', '\u180e', '\u2000', '\u2003', '\u200a', '\u200b', '\u2028', '\u2029', '\u202f', '\u205f', '\u2060', '\u3000', '\ufeff', ''];
const EMOJI = ['😀', '👩‍👩‍👧', '👨🏽‍🚀', '🇩🇪', '🇩', '❤️', '❤', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '1️⃣', '🏳️‍🌈', '\u200d', '\ufe0f', '🏿', '🫠', '🪿'];
const ODD = ['\u0000', '\u0001', '\u0007', '\u001b', '\u007f', '\u0080', '\u009f', '\u00ad', '\u0301', '\u0345', '\u034f', 'e\u0301', 'q\u0323\u0307', '\u1e9b\u0323',
  '\u212b', '\u2126', '\u0344', '\u0958', '\u0f73', '\u1d15f', '\u{1d15f}', '\u{1f1e6}', '\u{e0001}', '\u{10ffff}', '\u{1fffe}', '\uffff', '\ufffd', '\ufffe', '\ufdd0',
  '▁', '▁▁', 'Ġ', 'Ċ', 'ĉ', '<0x41>', '<0xFF>', '<0x0A>', '##', '##a', '</w>', '\u200e', '\u200f', '\u202e', '\u2066', '\u061c', '\u00b2', '\u00bc', '\u2160', '\u3007', '\u4e00'];
const HANGUL = ['\u1100', '\u1161', '\u11a8', '\uac00', '\uac01', '\ud7a3', '\u1112\u1175\u11c2', '\ua960', '\ud7b0', '\u3131', '\uffa1'];
const ZEROS = [0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xe50, 0x1040, 0x17e0, 0xff10, 0x104a0, 0x11066, 0x1d7ce, 0x1d7ff - 9, 0x1e950, 0x1fbf0, 0x11f50, 0x1e4f0];
// Where something happens: marks, Indic, Hangul, punctuation, compatibility forms, scripts of Unicode 15 and later.
const BLOCKS = [[0x00, 0x7f], [0x80, 0x24f], [0x250, 0x36f], [0x370, 0x5ff], [0x600, 0x8ff], [0x900, 0xdff], [0xe00, 0x10ff], [0x1100, 0x11ff],
  [0x1200, 0x1cff], [0x1d00, 0x1eff], [0x1f00, 0x1fff], [0x2000, 0x2bff], [0x2c00, 0x2fff], [0x3000, 0x33ff], [0x4dc0, 0x9fff], [0xa000, 0xabff],
  [0xac00, 0xd7ff], [0xe000, 0xf8ff], [0xf900, 0xfaff], [0xfb00, 0xfdff], [0xfe00, 0xffff], [0x10000, 0x10fff], [0x11000, 0x11fff], [0x12000, 0x15fff],
  [0x16000, 0x18fff], [0x1b000, 0x1bfff], [0x1d000, 0x1dfff], [0x1e000, 0x1efff], [0x1f000, 0x1ffff], [0x20000, 0x323ff], [0x32400, 0xdffff],
  [0xe0000, 0xe01ff], [0xf0000, 0x10ffff]];

class NastyStrings {
  // `description` is tokenizer.json.
  constructor(description, seed) {
    this.random = new Random(seed);
    const vocabulary = description.model.vocab;
    this.tokens = Array.isArray(vocabulary) ? vocabulary.map((entry) => entry[0]) : Object.keys(vocabulary);
    this.added = (description.added_tokens || []).map((token) => token.content);
  }

  codePoint() {
    for (;;) {
      const [first, last] = this.random.pick(BLOCKS);
      const c = first + this.random.below(last - first + 1);
      if (c < 0xd800 || c > 0xdfff) return String.fromCodePoint(c);
    }
  }
  many(count, piece) {
    let text = '';
    for (let i = this.random.below(count) + 1; i > 0; --i) text += piece();
    return text;
  }
  digits() {
    const zero = this.random.pick(ZEROS);
    return this.many(9, () => String.fromCodePoint(zero + this.random.below(10)));
  }
  // A special token: whole, torn, cased otherwise, touched by a word.
  special() {
    const token = this.random.pick(this.added);
    const cut = this.random.below(token.length + 1);
    return this.random.pick([token, token, token.slice(0, cut), token.slice(cut), token.toUpperCase(), 'a' + token + 'b', token + token,
      token.slice(0, cut) + token, token + token.slice(cut), token.slice(0, cut) + '\u0301' + token.slice(cut)]);
  }
  piece() {
    const {random} = this;
    const kind = random.below(24);
    if (kind < 6) return random.pick(WORDS);
    if (kind < 9) return random.pick(this.tokens).replace(/[Ġ▁]/g, ' ').replace(/Ċ/g, '\n');
    if (kind < 10) return random.pick(this.tokens);
    if (kind < 12) return random.pick(BLANKS);
    if (kind < 13) return this.many(8, () => random.pick(BLANKS));
    if (kind < 14) return random.pick(EMOJI);
    if (kind < 16) return random.pick(ODD);
    if (kind < 17) return this.many(6, () => random.pick(HANGUL));
    if (kind < 18) return this.digits();
    if (kind < 20 && this.added.length) return this.special();
    if (kind < 21) return random.pick(['a', 'e', 'o', 'q', '가', 'ก', 'α']) + this.many(6, () => String.fromCodePoint(0x300 + random.below(0x70)));
    return this.codePoint();
  }
  // A word of one character, of a few, or of all.
  long(length) {
    const {random} = this;
    const units = [this.codePoint(), this.random.pick(WORDS).split(' ')[0], random.pick(BLANKS) || ' ', random.pick(EMOJI), random.pick(HANGUL),
      'a', 'ab', '9', ' ', '\n', '\r\n', '日', '!', '\u0301', random.pick(this.tokens) || 'x'];
    const few = [random.pick(units), random.pick(units), random.pick(units)];
    const make = random.pick([() => few[0], () => random.pick(few), () => String.fromCharCode(97 + random.below(26))]);
    let text = '';
    while (text.length < length) text += make();
    return text;
  }
  next() {
    const kind = this.random.below(200);
    if (kind < 2) return this.long(this.random.below(3000));
    if (kind < 30) return this.piece() + this.piece();
    if (kind < 60) return this.many(12, () => this.codePoint());
    return this.many(30, () => this.piece() + (this.random.below(3) ? '' : this.random.pick(BLANKS)));
  }
  list(count) {
    const list = ['', ' ', '\n', '\u0000', '\r\n', '\u0301', 'a'.repeat(3000), ' '.repeat(1000), '9'.repeat(500), '日'.repeat(400),
      'a'.repeat(100000), ' '.repeat(100000), this.long(100000), this.long(100000), this.long(100000)];
    while (list.length < count) list.push(this.next());
    return list.slice(0, count);
  }
}

module.exports = {NastyStrings, Random};

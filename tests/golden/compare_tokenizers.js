// Compares `loadline tokenize --jsonl` with the Rust tokenizers library over whole vocabularies, which
// are too large to be committed:
//   node compare_tokenizers.js LOADLINE PATH_OF_THE_NODE_FILE DIR...
// A DIR has tokenizer.json, or GPT-2's encoder.json and vocab.bpe. 1,500 strings each: words of many
// scripts, the vocabulary's own tokens, special tokens, and any code points at all. Prints the mismatches
// and ends with 1 when there are some.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const {spawnSync} = require('child_process');
const [program, library, ...folders] = process.argv.slice(2);
const {Tokenizer} = require(path.resolve(library));
const COUNT = 1500;

// A small generator, so that the strings are the same on each run.
let state = 2024;
const random = (n) => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 4294967296) * n);
};
const pick = (list) => list[random(list.length)];

const WORDS = ('the of and it\'s DON\'T we\'ll I\'VE naïve café straße Übermut été İstanbul ſharp ﬁne Ⅷ ½ １２３ 3.14159 1,000,000 0x7fff 2024-11-23 ' +
  'hello_world camelCase HTTPServer x=[i+1]; {"a":1} </div> <!-- http://example.com/?q=a&b=c #tag @name ... !? -- — “quoted” ‘it’ ' +
  '日本語 東京タワー 中文字符 한국어 हिन्दी العربية עברית ไทย Ελληνικά Русский Việt 👩‍👩‍👧 😀 🇩🇪 ❤️').split(' ');
const BLANKS = [' ', '  ', '   ', '\n', '\n\n', '\r\n', '\t', ' \n', '\n ', '\u00a0', '\u3000', '\u2028', '\u0085', '\u200b', ''];
const ODD = ['\u0000', '\u0001', '\u007f', '\u0301', 'e\u0301', 'q\u0323\u0307', '\u1e9b\u0323', '\u200d', '\ufeff', '\ufffd', '\uffff',
  '\u{10ffff}', '\u{e0001}', '\u1100\u1161\u11a8', '▁', 'Ġ', '<0x41>', '\u0e33', '\u180e', '\u2126', '\uac00'];

function anyCodePoint() {
  for (;;) {
    const c = random(4) ? random(0x3000) : random(0x110000);
    if (c < 0xd800 || c > 0xdfff) return String.fromCodePoint(c);
  }
}

function stringsFor(description) {
  const tokens = Object.keys(description.model.vocab);
  const added = (description.added_tokens || []).map((t) => t.content);
  const piece = () => {
    const kind = random(20);
    if (kind < 8) return pick(WORDS);
    if (kind < 11) return pick(tokens).replace(/[Ġ▁]/g, ' ').replace(/Ċ/g, '\n');
    if (kind < 14) return pick(BLANKS);
    if (kind < 16) return pick(ODD);
    if (kind < 17 && added.length) return pick(added);
    if (kind < 18) return String(random(1000000));
    return anyCodePoint();
  };
  const list = ['', ' ', '\n', 'a'.repeat(3000), ' '.repeat(1000), '9'.repeat(500), '日'.repeat(400)];
  while (list.length < COUNT) {
    let text = '';
    for (let i = random(40) + 1; i > 0; --i) text += piece() + (random(3) ? '' : pick(BLANKS));
    list.push(text);
  }
  return list;
}

// As transformers converts it.
function gpt2(folder) {
  const vocab = JSON.parse(fs.readFileSync(path.join(folder, 'encoder.json')));
  const merges = fs.readFileSync(path.join(folder, 'vocab.bpe'), 'utf8').split('\n').slice(1).filter((line) => line);
  const byteLevel = {type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true};
  return {version: '1.0', truncation: null, padding: null,
    added_tokens: [{id: vocab['<|endoftext|>'], content: '<|endoftext|>', single_word: false, lstrip: false, rstrip: false,
      normalized: true, special: true}],
    normalizer: null, pre_tokenizer: byteLevel, post_processor: byteLevel, decoder: byteLevel,
    model: {type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: '', end_of_word_suffix: '', fuse_unk: false, vocab, merges}};
}

function documentOf(folder) {
  const file = path.join(folder, 'tokenizer.json');
  return fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : JSON.stringify(gpt2(folder));
}

async function compare(folder) {
  const document = documentOf(folder);
  const strings = stringsFor(JSON.parse(document));
  const model = fs.mkdtempSync(path.join(os.tmpdir(), 'tokenizer-'));
  fs.writeFileSync(path.join(model, 'tokenizer.json'), document);
  const tokenizer = Tokenizer.fromString(document);
  let mismatches = 0;
  for (const special of [true, false]) {
    const run = spawnSync(program, ['tokenize', '--model', model, '--jsonl', ...(special ? [] : ['--no-special'])],
      {input: strings.map((s) => JSON.stringify(s) + '\n').join(''), maxBuffer: 1 << 30});
    if (run.status !== 0) throw new Error(folder + ': ' + run.stderr);
    const lines = run.stdout.toString().split('\n');
    for (let i = 0; i < strings.length; ++i) {
      const wanted = '[' + (await tokenizer.encode(strings[i], null, {addSpecialTokens: special})).getIds().join(',') + ']';
      if (wanted === lines[i]) continue;
      if (++mismatches <= 3) console.log(JSON.stringify(strings[i]) + '\n  wanted ' + wanted + '\n  got    ' + lines[i]);
    }
  }
  fs.rmSync(model, {recursive: true});
  console.log(`${folder}: ${mismatches} mismatches in ${strings.length} strings, with and without special tokens`);
  return mismatches;
}

async function main() {
  let mismatches = 0;
  for (const folder of folders) mismatches += await compare(folder);
  process.exit(mismatches ? 1 : 0);
}
main();

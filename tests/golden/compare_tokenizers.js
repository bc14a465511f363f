// Compares `loadline tokenize --jsonl` with the Rust tokenizers library over whole vocabularies, which
// are too large to be committed:
//   node compare_tokenizers.js LOADLINE PATH_OF_THE_NODE_FILE [--strings 1500] [--seed 2024] DIR...
// A DIR has tokenizer.json, or GPT-2's encoder.json and vocab.bpe. Prints the mismatches and ends with 1 when
// there are some.
'use strict';
const fs = require('fs');
const os = require('os');
const path = require('path');
const {spawnSync} = require('child_process');
const {parseArgs} = require('util');
const {NastyStrings} = require('./nasty_strings.js');

const {values, positionals} = parseArgs({allowPositionals: true,
  options: {strings: {type: 'string', default: '1500'}, seed: {type: 'string', default: '2024'}}});
const [program, library, ...folders] = positionals;
const {Tokenizer} = require(path.resolve(library));
const BATCH = 2000;  // strings for each run of the program

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

// Half of the strings with every character above ASCII as \uXXXX.
function jsonLine(text, index) {
  const line = JSON.stringify(text);
  if (index % 2) return line;
  return line.replace(/[\u007f-\uffff]/g, (c) => '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
}

function idsOf(model, strings, special) {
  const run = spawnSync(program, ['tokenize', '--model', model, '--jsonl', ...(special ? [] : ['--no-special'])],
    {input: strings.map((s, i) => jsonLine(s, i) + '\n').join(''), maxBuffer: 1 << 30});
  if (run.status !== 0) throw new Error(model + ': ' + run.stderr);
  return run.stdout.toString().split('\n');
}

async function compareBatch(tokenizer, model, strings) {
  let mismatches = 0;
  for (const special of [true, false]) {
    const lines = idsOf(model, strings, special);
    for (let i = 0; i < strings.length; ++i) {
      const wanted = '[' + (await tokenizer.encode(strings[i], null, {addSpecialTokens: special})).getIds().join(',') + ']';
      if (wanted === lines[i]) continue;
      if (++mismatches > 3) continue;
      const show = (text) => text.length < 2000 ? text : text.slice(0, 2000) + '...';
      console.log(show(JSON.stringify(strings[i])) + '\n  wanted ' + show(wanted) + '\n  got    ' + show(lines[i]));
    }
  }
  return mismatches;
}

async function compare(folder) {
  const document = documentOf(folder);
  const model = fs.mkdtempSync(path.join(os.tmpdir(), 'tokenizer-'));
  fs.writeFileSync(path.join(model, 'tokenizer.json'), document);
  const tokenizer = Tokenizer.fromString(document);
  const strings = new NastyStrings(JSON.parse(document), Number(values.seed)).list(Number(values.strings));
  let mismatches = 0;
  for (let at = 0; at < strings.length; at += BATCH) {
    mismatches += await compareBatch(tokenizer, model, strings.slice(at, at + BATCH));
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

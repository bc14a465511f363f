// Makes tests/golden/text/tokenizers/*.json: tiny tokenizers of each style and what the Rust tokenizers
// library (0.22, through npm's @anush008/tokenizers-linux-x64-gnu 0.6.0) makes of strings.
//   node make_tokenizer_golden.js PATH_OF_THE_NODE_FILE
'use strict';
const fs = require('fs');
const path = require('path');
const {NastyStrings} = require('./nasty_strings.js');
const {Tokenizer} = require(process.argv[2]);
const OUT = path.join(__dirname, 'text', 'tokenizers');

// A small generator, so that the strings are the same on each run.
let state = 12345;
const random = (n) => {
  state = (Math.imul(state, 1103515245) + 12345) >>> 0;
  return Math.floor((state / 4294967296) * n);
};
const pick = (list) => list[random(list.length)];

// The alphabet of GPT-2.
function byteCharacters() {
  const map = [];
  let next = 256;
  for (let b = 0; b < 256; ++b) {
    const own = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
    map.push(String.fromCodePoint(own ? b : next++));
  }
  return map;
}

// Learns `count` merges from words given as lists of symbols.
function learn(words, count) {
  const merges = [];
  const list = words.map((w) => w.slice());
  while (merges.length < count) {
    const seen = new Map();
    for (const w of list) {
      for (let i = 0; i + 1 < w.length; ++i) {
        const key = w[i] + ' ' + w[i + 1];
        seen.set(key, (seen.get(key) || 0) + 1);
      }
    }
    const best = [...seen].sort((x, y) => y[1] - x[1] || (x[0] < y[0] ? -1 : 1))[0];
    if (!best || best[1] < 2) break;
    const [a, b] = best[0].split(' ');
    merges.push([a, b]);
    for (const w of list) {
      for (let i = 0; i + 1 < w.length; ++i) {
        if (w[i] === a && w[i + 1] === b) w.splice(i, 2, a + b);
      }
    }
  }
  return merges;
}

const CORPUS = ('the heaven and the earth, and the spirit of the waters: let there be light, and there was light. ' +
  'In 1811 she was 24 years old; they\'ll say "it\'s 3,142 miles" -- don\'t! naïve café über straße été ' +
  'for (int i = 0; i < 10; ++i) { x[i] += 1; } the other weather, whether together or another').split(' ');

function vocabularyOf(symbols, merges, before = []) {
  const vocab = {};
  const put = (t) => { if (!(t in vocab)) vocab[t] = Object.keys(vocab).length; };
  before.forEach(put);
  symbols.forEach(put);
  merges.forEach(([a, b]) => put(a + b));
  return vocab;
}

function byteLevel() {
  const bytes = byteCharacters();
  const words = CORPUS.map((w) => [...Buffer.from(' ' + w)].map((b) => bytes[b]));
  const merges = learn(words, 120);
  return {type: 'BPE', vocab: vocabularyOf(bytes, merges), merges};
}

function sentencePiece(extra) {
  const words = CORPUS.map((w) => ['▁', ...w]);
  const merges = learn(words, 120).concat([['▁', '▁'], ['▁▁', '▁▁'], ['\n', '\n']]);
  const symbols = ['▁', '\n', ...new Set(CORPUS.join('').split(''))];
  const bytes = [...Array(256).keys()].map((b) => '<0x' + b.toString(16).toUpperCase().padStart(2, '0') + '>');
  return Object.assign({type: 'BPE', unk_token: '<unk>', fuse_unk: true, byte_fallback: true,
    vocab: vocabularyOf(symbols, merges, ['<unk>', '<s>', '</s>', ...bytes]), merges}, extra);
}

const added = (id, content, more = {}) => Object.assign(
  {id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true}, more);
const sizeOf = (model) => Object.keys(model.vocab).length;
const asStrings = (model) => Object.assign({}, model, {merges: model.merges.map((m) => m.join(' '))});
const BYTE_LEVEL = {type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false};
const split = (Regex, behavior = 'Isolated', invert = false) => ({type: 'Split', pattern: {Regex}, behavior, invert});
const CL100K = '(?i:\'s|\'t|\'re|\'ve|\'m|\'ll|\'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const O200K = '[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:\'s|\'t|\'re|\'ve|\'m|\'ll|\'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:\'s|\'t|\'re|\'ve|\'m|\'ll|\'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';
const sequence = (key, ...members) => ({type: 'Sequence', [key]: members});

function bos(id, before, after) {
  const token = (t) => ({SpecialToken: {id: t, type_id: 0}});
  const names = [...before, ...after];
  return {type: 'TemplateProcessing',
    single: [...before.map(token), {Sequence: {id: 'A', type_id: 0}}, ...after.map(token)],
    pair: [{Sequence: {id: 'A', type_id: 0}}, {Sequence: {id: 'B', type_id: 1}}],
    special_tokens: Object.fromEntries(names.map((t) => [t, {id: t, ids: [id(t)], tokens: [t]}]))};
}

function tokenizers() {
  const b = byteLevel();
  const s = sentencePiece({});
  const n = sizeOf(b);
  const chat = [added(n, '<|im_start|>'), added(n + 1, '<|im_end|>'), added(n + 2, '<think>', {special: false})];
  const base = {version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null,
    pre_tokenizer: null, post_processor: null, decoder: null};
  const make = (more) => Object.assign({}, base, more);
  const spDecoder = sequence('decoders', {type: 'Replace', pattern: {String: '▁'}, content: ' '}, {type: 'ByteFallback'},
    {type: 'Fuse'}, {type: 'Strip', content: ' ', start: 1, stop: 0});
  const spTokens = [added(0, '<unk>'), added(1, '<s>'), added(2, '</s>')];
  const id = (model) => (t) => model.vocab[t];
  const m = sizeOf(s);
  const bytes = (pre, more) => make(Object.assign({added_tokens: chat, pre_tokenizer: pre,
    decoder: BYTE_LEVEL, model: asStrings(b)}, more));
  const metaspace = (scheme, cut) => make({added_tokens: spTokens, model: s,
    pre_tokenizer: {type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: cut},
    decoder: {type: 'Metaspace', replacement: '▁', prepend_scheme: scheme, split: cut}});
  return {
    gpt2: bytes(Object.assign({}, BYTE_LEVEL, {use_regex: true})),
    gpt2_prefix_space: bytes(Object.assign({}, BYTE_LEVEL, {use_regex: true, add_prefix_space: true})),
    qwen: bytes(sequence('pretokenizers', split(CL100K.replace('{1,3}', '')), BYTE_LEVEL), {normalizer: {type: 'NFC'}, model: b}),
    llama3: bytes(sequence('pretokenizers', split(CL100K), BYTE_LEVEL), {
      model: Object.assign(asStrings(b), {ignore_merges: true}),
      post_processor: sequence('processors', BYTE_LEVEL, bos(() => n, ['<|im_start|>'], []))}),
    o200k: bytes(sequence('pretokenizers', split(O200K), BYTE_LEVEL)),
    digits: bytes(sequence('pretokenizers', {type: 'Digits', individual_digits: true},
      split('[^\\S\\r\\n]+', 'MergedWithNext'), split('\\p{N}{1,2}+', 'Isolated'), BYTE_LEVEL)),
    behaviors: bytes(sequence('pretokenizers', split('[aeiou]', 'MergedWithPrevious'), split('t', 'MergedWithNext'),
      split('[0-9]', 'Contiguous'), split('\\w+|\\s+', 'Isolated', true), {type: 'Punctuation', behavior: 'Contiguous'}, BYTE_LEVEL)),
    words: bytes(sequence('pretokenizers', {type: 'Whitespace'}, BYTE_LEVEL)),
    blanks: bytes(sequence('pretokenizers', {type: 'WhitespaceSplit'}, {type: 'Punctuation', behavior: 'Isolated'},
      {type: 'CharDelimiterSplit', delimiter: 'x'}, BYTE_LEVEL)),
    bert_words: bytes(sequence('pretokenizers', {type: 'BertPreTokenizer'}, BYTE_LEVEL), {
      post_processor: {type: 'RobertaProcessing', sep: ['<|im_end|>', n + 1], cls: ['<|im_start|>', n], trim_offsets: true, add_prefix_space: false}}),
    compatibility: bytes(Object.assign({}, BYTE_LEVEL, {use_regex: true}), {normalizer: sequence('normalizers', {type: 'NFKC'},
      {type: 'Lowercase'}, {type: 'Strip', strip_left: true, strip_right: true})}),
    decomposed: bytes(Object.assign({}, BYTE_LEVEL, {use_regex: true}), {normalizer: sequence('normalizers', {type: 'NFKD'},
      {type: 'Replace', pattern: {Regex: '\\s+'}, content: ' '})}),
    canonical: bytes(Object.assign({}, BYTE_LEVEL, {use_regex: true}), {normalizer: {type: 'NFD'}}),
    llama2: make({added_tokens: spTokens, normalizer: sequence('normalizers', {type: 'Prepend', prepend: '▁'},
      {type: 'Replace', pattern: {String: ' '}, content: '▁'}), post_processor: bos(id(s), ['<s>'], ['</s>']),
      decoder: spDecoder, model: asStrings(s)}),
    metaspace_first: metaspace('first', true),
    metaspace_always: metaspace('always', false),
    metaspace_never: metaspace('never', true),
    unknown_alone: make({model: sentencePiece({fuse_unk: false, byte_fallback: false})}),
    unknown_fused: make({model: sentencePiece({fuse_unk: true, byte_fallback: false})}),
    unknown_vanishes: make({model: sentencePiece({unk_token: null, byte_fallback: false})}),
    suffix: make({pre_tokenizer: {type: 'WhitespaceSplit'}, decoder: {type: 'BPEDecoder', suffix: '</w>'},
      model: {type: 'BPE', unk_token: '<unk>', end_of_word_suffix: '</w>', continuing_subword_prefix: null,
        vocab: {'<unk>': 0, t: 1, h: 2, e: 3, 'e</w>': 4, th: 5, 'the</w>': 6, 't</w>': 7, a: 8, 'a</w>': 9},
        merges: ['t h', 'th e</w>']}}),
    prefix: make({pre_tokenizer: {type: 'WhitespaceSplit'},
      model: {type: 'BPE', unk_token: '<unk>', continuing_subword_prefix: '##', end_of_word_suffix: null,
        vocab: {'<unk>': 0, t: 1, '##h': 2, '##e': 3, th: 4, the: 5, h: 6, e: 7, '##t': 8, a: 9, '##a': 10},
        merges: ['t ##h', 'th ##e']}}),
    added: make({model: s, added_tokens: [...spTokens, added(m, '<mask>', {lstrip: true}), added(m + 1, '[R]', {rstrip: true}),
      added(m + 2, 'the', {single_word: true, special: false}), added(m + 3, 'New Word', {normalized: true, special: false}),
      added(m + 4, '<mask>>'), added(m + 5, '[LR]', {lstrip: true, rstrip: true})],
      normalizer: {type: 'Replace', pattern: {String: ' '}, content: '▁'}, decoder: spDecoder}),
    // Characters that the library's older and newer tables have otherwise than utf8proc and PCRE2.
    composed: bytes(Object.assign({}, BYTE_LEVEL, {use_regex: false}), {normalizer: {type: 'NFC'}, strings: UNEVEN}),
    composed_compatibly: bytes(Object.assign({}, BYTE_LEVEL, {use_regex: false}), {normalizer: {type: 'NFKC'}, strings: UNEVEN}),
    newer_classes: bytes(sequence('pretokenizers', {type: 'Digits', individual_digits: true}, split('\\p{P}'), split('[\\p{S}\\p{M}]+'),
      Object.assign({}, BYTE_LEVEL, {add_prefix_space: true})), {strings: UNEVEN}),
    composed_and_taken_apart: bytes(Object.assign({}, BYTE_LEVEL, {use_regex: false}), {normalizer: sequence('normalizers', {type: 'NFC'}, {type: 'NFKD'}), strings: ['e\u0301', ...UNEVEN]}),
    added_alike: make({model: s, normalizer: {type: 'Lowercase'}, decoder: spDecoder,
      added_tokens: [...spTokens, added(m, 'Zu', {normalized: true, special: false}), added(m + 1, 'Za', {normalized: true, special: false}),
        added(m + 2, 'zU', {normalized: true, special: false}), added(m + 3, 'ZU', {normalized: true}), added(m + 4, 'zA', {normalized: true, special: false})],
      strings: [...Array(55).keys()].map((i) => ['zu', 'ZU', 'Za', 'za', 'the zA', ' zU ', 'zaZu'].filter((_, k) => (i >> k % 5) & 1).join(['', ' '][i % 2]))}),
    unigram: make({added_tokens: [added(0, '<unk>'), added(1, '</s>')], model: unigram(false), decoder: {type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true},
      normalizer: sequence('normalizers', {type: 'Precompiled', precompiled_charsmap: CHARSMAP}, {type: 'Strip', strip_left: false, strip_right: true},
        {type: 'Replace', pattern: {Regex: ' {2,}'}, content: '▁'}),
      pre_tokenizer: {type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true}, post_processor: bos((t) => t === '</s>' ? 1 : 0, [], ['</s>']), strings: NASTY}),
    unigram_ties: make({model: ties(), pre_tokenizer: {type: 'WhitespaceSplit'},
      strings: [...Array(60).keys()].map((i) => [1, 2, 3, 4].map((k) => at(LETTERS, i * 5 + k).repeat(3 + (i + k) % 5)).join(' '))}),
    unigram_bytes: make({model: unigram(true), normalizer: {type: 'Nmt'}, decoder: sequence('decoders', {type: 'ByteFallback'}, {type: 'Fuse'}),
      pre_tokenizer: {type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false}, strings: NASTY}),
    unigram_knows_all: make({model: Object.assign(unigram(false), {unk_id: null, byte_fallback: true, vocab: [...new Set(NASTY.join(''))].map((c, i) => [c, -i / 7])}), strings: NASTY}),
    word_piece: make({added_tokens: [added(0, '[PAD]'), added(1, '[UNK]'), added(2, '[CLS]'), added(3, '[SEP]')], model: wordPiece('##', 100),
      normalizer: {type: 'BertNormalizer', clean_text: true, handle_chinese_chars: true, strip_accents: null, lowercase: true}, pre_tokenizer: {type: 'BertPreTokenizer'},
      post_processor: {type: 'BertProcessing', sep: ['[SEP]', 3], cls: ['[CLS]', 2]}, decoder: {type: 'WordPiece', prefix: '##', cleanup: true}, strings: NASTY}),
    word_piece_cased: make({model: wordPiece('@', 6), normalizer: {type: 'BertNormalizer', clean_text: true, handle_chinese_chars: false, strip_accents: true, lowercase: false},
      pre_tokenizer: {type: 'WhitespaceSplit'}, decoder: {type: 'WordPiece', prefix: '@', cleanup: false}, strings: NASTY}),
    accents: bytes(sequence('pretokenizers', {type: 'FixedLength', length: 3}, Object.assign({}, BYTE_LEVEL, {add_prefix_space: true})),
      {normalizer: sequence('normalizers', {type: 'NFKD'}, {type: 'StripAccents'}), strings: NASTY}),
    byte_normalizer: make({normalizer: {type: 'ByteLevel'}, decoder: BYTE_LEVEL, model: asStrings(b), strings: NASTY}),
    named_sets: bytes(sequence('pretokenizers', split('[[:alpha:]]+|[[:punct:]]|[[:space:]]+'), split('\\bt|\\B[[:digit:]]|[^\\w\\s]', 'MergedWithNext'), split('\\w+', 'Contiguous'),
      Object.assign({}, BYTE_LEVEL, {add_prefix_space: true})), {strings: NASTY}),
    first_character: make({model: s, added_tokens: spTokens, normalizer: sequence('normalizers', {type: 'Replace', pattern: {Regex: '^[th]+'}, content: ''}, {type: 'Nmt'}),
      pre_tokenizer: {type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: true}, strings: ['the', 'a the', '\u0001the', '\u0001a', 'hat', ' the', 'th the', '\u200bthe', ...NASTY]}),
    unknown_vanishes_between: make({model: Object.assign(sentencePiece({unk_token: null, byte_fallback: false})), normalizer: {type: 'Replace', pattern: {String: ' '}, content: '▁'},
      strings: ['日  日 日   日', '\u2060 \u2060  the', ...NASTY]}),
  };
}

const PIECES = [...CORPUS, ' ', '  ', '\n', '\n\n', '\r\n', '\t', '\u00a0', '\u3000', '\u180e', '\u0085', '\u2028', 'e\u0301', 'é', 'q\u0323\u0307',
  '①', 'ﬁ', 'Ⅷ', '½', '１２', 'İ', 'ſ', "'S", "'ſ", '日本語', '한국', 'हिन्दी', '👩‍👩‍👧', '😀', '\u200d', '\u0301', '<|im_start|>', '<|im_end|>', '<think>', '<s>',
  '</s>', '<mask>', '<mask>>', '[R]', '[LR]', 'the', 'New Word', 'New▁Word', '▁', '▁▁', '<0x41>', 'Ġ', '12345', '1', 'CamelCase', 'x', '_a', '\u0000', '\uffff', '\u{10ffff}', '.', '...', '!?'];

// Marks and compositions of Unicode 10 and later, numbers and symbols of 15 to 17, and Hangul's filler of no syllable.
const MARKS = ['\u0334', '\u0301', '\u0323', '\u0345', '\u07fd', '\u0898', '\u08ca', '\u0c3c', '\u1abf', '\u1df6', '\u{10d24}', '\u{11070}', '\u{11d42}',
  '\u{1e130}', '\u{1e4ec}', '\u11a7', '\u{11930}'];
const BASES = ['a', 'e\u0301', '\uac00', '\u1100\u1161', '\u{11935}', '\u1fb3', '\u0958', '\ufb01', '\u{1e030}', '\u1b4e', '\u2ffc', '\u{1f6dc}', '\u{1fae8}', '\u{11de0}',
  '\u{16ff4}', '\u{1cc00}', '\u{113d4}', '1', '.'];
const at = (list, i) => list[i % list.length];
const UNEVEN = BASES.flatMap((base, i) => [0, 1, 2, 3].map((k) => base + at(MARKS, 5 * i + 3 * k) + at(MARKS, 7 * i + k) + at(BASES, 11 * i + k) + at(MARKS, 3 * i + 5 * k)));

// SentencePiece's table of replacements, made of 17 rules (ﬁ: fi, ①: 1, CR, LF and U+3000: a blank, U+200B and U+00AD: nothing,
// e + U+0301: é, Ａ: A, ª: a, …: ..., ㎏: kg, İ: i + U+0307, ｶ: カ, ｶﾞ: ガ, Ⅷ: VIII, ½: 1/2) by python3-sentencepiece's normalization_rule_tsv.
const CHARSMAP = 'AAQAAAAsAAAKDQAAAQAAgMwYAgCBBQAAIAAAgA0RAAAUAACAqj0AAAAAAIAJAACAsB0AABkAAICR+AIAAwAAgK0ZAACLZQAApw0AAA8AAICgHQAABwAAgIAMAgCAUQAAjz0AAB0AAICFvAIAFgAAgI4MAgCAHAIAofEAAIERAAC9VQAArPwCAA0AAIC2BQAAIwAAgL5wAgAnAACAng0AACYAAAApAAAAKAAAACsAAAAqAAAALQAAACwAAAAvAAAALgAAALwwAgC9lAIAMwAAADIAAAA1AAAANAAAADcAAAA2AAAAOQAAADgAAAA7AAAAOgAAAD0AAACmzQAAPwAAAD4AAABBAAAAQAAAAEMAAABCAAAARQAAAEQAAABHAAAARgAAAEkAAABIAAAASwAAAEoAAABNAAAATAAAAE8AAABOAAAAUQAAAFAAAABTAAAAUgAAAFUAAABUAAAAVwAAAFYAAABZAAAAWAAAAFsAAABaAAAAXQAAAFwAAABfAAAAXgAAAGEAAABgAAAAYwAAAGIAAABlAAAAZAAAAGcAAABmAAAAaQAAAGgAAABrAAAAagAAAG0AAABsAAAAZYQCAG4AAABxAAAAcAAAAHMAAAByAAAAdQAAAHQAAAB3AAAAdgAAAHkAAAB4AAAAewAAAHoAAAB9AAAAfAAAAH8AAAB+AAAAgQAAAIAAAACDAAAAggAAAIUAAACEAAAAhwAAAIYAAACJAAAAiAAAAIsAAACKAAAAjQAAAIwAAACPAAAAjgAAAJEAAACQAAAAkwAAAJIAAACVAAAAlAAAAJcAAACWAAAAmQAAAJgAAACbAAAAmgAAAJ0AAACcAAAAnwAAAJ4AAAChAAAAoAAAAKMAAACiAAAApQAAAKQAAACnAAAApgAAAKkAAACoAAAAqwAAAKoAAACtAAAArAAAAK8AAACuAAAAsQAAALAAAACzAAAAsgAAALUAAAC0AAAAtwAAALYAAAC5AAAAuAAAALsAAAC6AAAAvQAAALwAAAC/AAAAvgAAAMEAAADAAAAAwwAAAMIAAADFAAAAxAAAAMcAAADGAAAAyQAAAMKsAQDLAAAAygAAAO9YAQDMAAAAzwAAAMTQAQDRAAAA0AAAANMAAADSAAAA1QAAANQAAADXAAAA1gAAANkAAADYAAAA2wAAANoAAADdAAAA3AAAAN8AAADeAAAA4QAAAOAAAADjAAAA4gAAAO+gAQDkAAAA5wAAAOYAAADj9AEA4tQBAOsAAADqAAAA7QAAAOwAAADvAAAA7gAAAPEAAADwAAAA8wAAAPIAAAD1AAAA9AAAAPcAAAD2AAAA+QAAAPgAAAD7AAAA+gAAAP0AAAD8AAAA/wAAAP4AAAAAIAAuLi4AMQAxLzIAQQBWSUlJAGEAZmkAacyHAGtnAMOpAOOCqwDjgqwA';

// Scores that tie on paper, as sums do: which way is taken is decided by how they are rounded.
function unigram(bytes) {
  const vocab = [['<unk>', 0], ['</s>', 0]];
  const seen = new Set(['<unk>', '</s>']);
  const put = (t, score) => { if (!seen.has(t)) { seen.add(t); vocab.push([t, score]); } };
  if (bytes) for (let i = 0; i < 256; ++i) put('<0x' + i.toString(16).toUpperCase().padStart(2, '0') + '>', -9.123456789012345 - i / 100);
  put('▁', -2.1272835731506348);
  put('▁▁', -3.3946316242218018);
  put('▁▁▁', -4.7272835731506348);
  CORPUS.forEach((w, i) => {
    const letters = [...w];
    for (let n = 1; n <= letters.length; ++n) put('▁' + letters.slice(0, n).join(''), -3.0909090909090908 - ((i * 7 + n * 3) % 11) / 3);
    for (let n = 0; n < letters.length; ++n) put(letters.slice(n, n + 3).join(''), -4.123456789012345 - ((i + n) % 5));
    letters.forEach((c) => put(c, -6.283185307179586));
  });
  return {type: 'Unigram', unk_id: 0, vocab, byte_fallback: bytes};
}

// A run of a letter in ones, twos and threes: all orders have the same sum on paper.
const LETTERS = [...'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWYZαβγδεζηθικλμνξοπρστυφχψω'];
function ties() {
  const score = (i) => -((i * 7919) % 100003) / 10007 - 0.1 * (i % 30);
  return {type: 'Unigram', unk_id: 0, vocab: [['<unk>', 0], ...LETTERS.flatMap((c, i) => [1, 2, 3].map((n) => [c.repeat(n), score(3 * i + n)]))]};
}

function wordPiece(prefix, longest) {
  const vocab = {};
  const put = (t) => { if (!(t in vocab)) vocab[t] = Object.keys(vocab).length; };
  ['[PAD]', '[UNK]', '[CLS]', '[SEP]'].forEach(put);
  for (const w of [...CORPUS, ...CORPUS.map((c) => c.toLowerCase())]) {
    const letters = [...w];
    for (let n = 1; n <= letters.length; n += 2) put(letters.slice(0, n).join(''));
    for (let n = 1; n < letters.length; ++n) put(prefix + letters.slice(n, n + 2).join(''));
    letters.forEach((c) => { put(c); put(prefix + c); });
  }
  return {type: 'WordPiece', unk_token: '[UNK]', continuing_subword_prefix: prefix, max_input_chars_per_word: longest, vocab};
}

const NASTY = new NastyStrings({model: {vocab: Object.fromEntries(CORPUS.map((w) => ['▁' + w, 0]))}, added_tokens: [{content: '</s>'}, {content: '[SEP]'}, {content: '<unk>'}]}, 3)
  .list(400).slice(15).filter((text) => text.length < 120).slice(0, 60).concat(['   the    light', 'the \r\n waters\n', '    ', 'e\u0301\u0301 ｶﾞ ｶ ﬁ\u0301', 'the\u0001the']);

function strings(count) {
  const list = ['', ' ', '  ', '\n', 'the', ' the ', 'the<mask> the', 'a <mask>  [R]  b [LR] [LR] c', 'thethe the.the', '<mask>>>'];
  while (list.length < count) {
    let text = '';
    for (let i = random(10) + 1; i > 0; --i) text += pick(PIECES) + pick(['', ' ', '']);
    list.push(text);
  }
  return list;
}

async function main() {
  fs.mkdirSync(OUT, {recursive: true});
  for (const [name, description] of Object.entries(tokenizers())) {
    const {strings: own, ...parts} = description;
    const document = JSON.stringify(parts);
    const tokenizer = Tokenizer.fromString(document);
    const cases = [];
    for (const text of own || strings(60)) {
      const plain = (await tokenizer.encode(text, null, {addSpecialTokens: false})).getIds();
      const special = (await tokenizer.encode(text, null, {addSpecialTokens: true})).getIds();
      cases.push({text, ids: plain, with_special: special, decoded: await tokenizer.decode(special, false),
        without_special: await tokenizer.decode(special, true)});
    }
    const lines = cases.map((c) => JSON.stringify(c)).join(',\n');
    fs.writeFileSync(path.join(OUT, name + '.json'), `{"tokenizer": ${document},\n"cases": [\n${lines}\n]}\n`);
  }
}
main();

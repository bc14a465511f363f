#include "training/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <stdexcept>

#include "base/split_mix.h"

namespace loadline {
namespace {

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

}  // namespace

std::vector<std::int64_t> longest_rows(const PackedRows& rows, std::int64_t max_seq_length,
                                       std::int64_t count) {
  const std::int64_t different = std::min(count, rows.size());
  // Of the last ones that are taken some stay out, those that come later.
  std::int64_t least = 0;
  std::int64_t room = different;  // for rows of that length
  std::int64_t taken = 0;
  for (const LengthCount& c : rows.lengths()) {
    if (taken >= different) break;
    const std::int64_t length = std::min(c.length, max_seq_length);
    room = length == least ? room : different - taken;
    least = length;
    taken += c.rows;
  }
  struct Row {
    std::int64_t length = 0, index = 0;
  };
  std::vector<Row> kept;
  kept.reserve(at(different));
  rows.for_each_length([&](std::int64_t index, std::int64_t whole) {
    const std::int64_t length = std::min(whole, max_seq_length);
    if (length > least || (length == least && room-- > 0)) kept.push_back({length, index});
  });
  std::ranges::sort(kept, [](const Row& a, const Row& b) {
    return a.length != b.length ? a.length > b.length : a.index < b.index;
  });
  std::vector<std::int64_t> longest(at(count));
  for (std::size_t i = 0; i < longest.size(); ++i) longest[i] = kept[i % kept.size()].index;
  return longest;
}

Bytes BatchOrder::bytes(std::int64_t rows, const TrainingSettings& settings) {
  if (settings.order == RowOrder::kFile) return {};
  const bool deals = settings.order != RowOrder::kShuffled;
  std::int64_t bytes = rows * static_cast<std::int64_t>(sizeof(std::int64_t));
  bytes += 3 * settings.batch_size * static_cast<std::int64_t>(sizeof(std::int64_t));
  if (deals) {
    bytes += rows * static_cast<std::int64_t>(sizeof(std::int32_t));
    bytes +=
        std::min(rows, kWindow * settings.batch_size) * static_cast<std::int64_t>(sizeof(Dealt));
  }
  return {static_cast<std::uint64_t>(bytes)};
}

BatchOrder::BatchOrder(const PackedRows& rows, const TrainingSettings& settings)
    : rows_(rows.size()),
      batch_size_(settings.batch_size),
      seed_(settings.seed),
      kind_(settings.order) {
  if (rows_ < 1 || batch_size_ < 1) {
    throw std::logic_error(fmt::format("BatchOrder: {} rows, batch size {}", rows_, batch_size_));
  }
  if (kind_ == RowOrder::kWorstFirst) {
    longest_ = longest_rows(rows, settings.max_seq_length, batch_size_);
  }
  // A trial takes what any order of its training will need.
  if (kind_ == RowOrder::kFile) return;
  order_.resize(at(rows_));
  tail_.reserve(at(batch_size_));
  moved_.reserve(at(batch_size_));
  if (kind_ == RowOrder::kShuffled) return;
  lengths_.resize(at(rows_));
  rows.for_each_length([&](std::int64_t row, std::int64_t length) {
    lengths_[at(row)] = static_cast<std::int32_t>(std::min(length, settings.max_seq_length));
  });
  dealt_.reserve(at(std::min(rows_, kWindow * batch_size_)));
}

void BatchOrder::rows_of(std::int64_t number, std::span<std::int64_t> into) {
  if (kind_ == RowOrder::kShuffled || kind_ == RowOrder::kBalanced) {
    return shuffled_rows_of(number, into);
  }
  if (kind_ == RowOrder::kWorstFirst) {
    if (number < kWorstBatches) {
      std::copy(longest_.begin(), longest_.end(), into.begin());
      return;
    }
    number -= kWorstBatches;
  }
  for (std::int64_t i = 0; i < batch_size_; ++i) {
    into[at(i)] = (number * batch_size_ + i) % rows_;
  }
}

void BatchOrder::shuffled_rows_of(std::int64_t number, std::span<std::int64_t> into) {
  if (repeats_within_batch()) {
    permute(number);
    for (std::int64_t i = 0; i < batch_size_; ++i) into[at(i)] = order_[at(i % rows_)];
    return;
  }
  for (std::int64_t i = 0; i < batch_size_; ++i) {
    const std::int64_t position = number * batch_size_ + i;
    go_to(position / rows_);
    into[at(i)] = order_[at(position % rows_)];
  }
}

// An epoch's order depends on the one before it only through a batch that spans both. Epochs that
// start with a batch depend on nothing; and where an epoch has two batches or more, the rows at its
// end are those of its permutation.
void BatchOrder::go_to(std::int64_t epoch) {
  if (epoch == epoch_) return;
  if (epoch != epoch_ + 1 || epoch_ < 0) {
    const std::int64_t period = batch_size_ / std::gcd(rows_, batch_size_);
    const std::int64_t back = epoch % period;
    permute(epoch - (rows_ >= 2 * batch_size_ ? std::min<std::int64_t>(back, 1) : back));
    balance();
  }
  while (epoch_ < epoch) advance();
}

void BatchOrder::advance() {
  const std::int64_t spanning = (epoch_ + 1) % batch_size_ * (rows_ % batch_size_) % batch_size_;
  tail_.assign(order_.end() - spanning, order_.end());
  permute(epoch_ + 1);
  if (spanning > 0) put_last(tail_);
  balance();
}

void BatchOrder::permute(std::int64_t epoch) {
  SplitMix random(seed_, static_cast<std::uint64_t>(epoch));
  std::iota(order_.begin(), order_.end(), 0);
  for (std::size_t left = order_.size(); left > 1; --left) {
    std::swap(order_[left - 1], order_[random.below(left)]);
  }
  epoch_ = epoch;
}

// Moves the rows of `tail` behind the others among the first batch_size rows.
void BatchOrder::put_last(std::span<std::int64_t> tail) {
  std::ranges::sort(tail);
  moved_.clear();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < at(batch_size_); ++i) {
    const std::int64_t row = order_[i];
    if (std::ranges::binary_search(tail, row)) {
      moved_.push_back(row);
    } else {
      order_[kept++] = row;
    }
  }
  std::copy(moved_.begin(), moved_.end(), order_.begin() + static_cast<std::ptrdiff_t>(kept));
}

// Deals out the rows of the batches that lie within the epoch; those of the batches that it shares
// with its neighbours stay.
void BatchOrder::balance() {
  if (kind_ != RowOrder::kBalanced) return;
  // epoch x rows modulo the batch, without passing 63 bits.
  const std::int64_t used = (epoch_ % batch_size_) * (rows_ % batch_size_) % batch_size_;
  const std::int64_t head = (batch_size_ - used) % batch_size_;
  const std::int64_t end = head + (rows_ - head) / batch_size_ * batch_size_;
  const std::int64_t step = kWindow * batch_size_;
  for (std::int64_t begin = head; begin < end; begin += step) {
    deal(std::span(order_).subspan(at(begin), at(std::min(step, end - begin))));
  }
}

void BatchOrder::deal(std::span<std::int64_t> window) {
  dealt_.clear();
  for (std::size_t i = 0; i < window.size(); ++i) {
    const std::int64_t row = window[i];
    dealt_.push_back({lengths_[at(row)], static_cast<std::int64_t>(i), row});
  }
  // The place decides among equals, so that the order is one and the same everywhere.
  std::sort(dealt_.begin(), dealt_.end(), [](const Dealt& a, const Dealt& b) {
    return a.length != b.length ? a.length > b.length : a.place < b.place;
  });
  const std::size_t batches = window.size() / at(batch_size_);
  std::array<std::int64_t, kWindow> tokens{};
  std::array<std::size_t, kWindow> filled{};
  for (const Dealt& next : dealt_) {
    std::size_t lightest = batches;
    for (std::size_t b = 0; b < batches; ++b) {
      if (filled[b] == at(batch_size_)) continue;
      if (lightest == batches || tokens[b] < tokens[lightest]) lightest = b;
    }
    window[lightest * at(batch_size_) + filled[lightest]++] = next.row;
    tokens[lightest] += next.length;
  }
  // The batch of the longest row shall not always be a window's first.
  SplitMix random(~seed_, static_cast<std::uint64_t>(window.front()));
  for (std::size_t left = batches; left > 1; --left) {
    const std::size_t other = random.below(left);
    if (other + 1 == left) continue;
    std::swap_ranges(window.begin() + static_cast<std::ptrdiff_t>((left - 1) * at(batch_size_)),
                     window.begin() + static_cast<std::ptrdiff_t>(left * at(batch_size_)),
                     window.begin() + static_cast<std::ptrdiff_t>(other * at(batch_size_)));
  }
}

namespace {

// Where rows come more than once in an epoch: each is counted.
void count_uses(const PackedRows& rows, const TrainingSettings& settings, BatchOrder& order,
                RowUse& use) {
  std::vector<std::int64_t> batch(at(settings.batch_size));
  std::vector<std::int64_t> uses(at(rows.size()));
  PassingRows passing(rows);
  for (std::int64_t m = 0; m < use.uses / settings.batch_size; ++m) {
    order.rows_of(m, batch);
    for (const std::int64_t row : batch) {
      ++uses[at(row)];
      use.tokens += std::min(passing.length(row), settings.max_seq_length);
    }
  }
  const auto [least, most] = std::minmax_element(uses.begin(), uses.end());
  use.least = *least;
  use.most = *most;
  use.unused = std::count(uses.begin(), uses.end(), 0);
}

// Each row comes once an epoch: only which of them the last one has met is to be looked at.
void count_epochs(const PackedRows& rows, const TrainingSettings& settings, BatchOrder& order,
                  RowUse& use) {
  const std::int64_t epochs = use.uses / use.rows;
  for (const auto& [length, count] : rows.lengths()) {
    use.tokens += epochs * count * std::min(length, settings.max_seq_length);
  }
  std::vector<std::int64_t> batch(at(settings.batch_size));
  PassingRows passing(rows);
  std::int64_t position = epochs * use.rows / settings.batch_size * settings.batch_size;
  while (position < use.uses) {
    order.rows_of(position / settings.batch_size, batch);
    for (const std::int64_t row : batch) {
      if (position++ < epochs * use.rows) continue;
      use.tokens += std::min(passing.length(row), settings.max_seq_length);
    }
  }
  const std::int64_t rest = use.uses % use.rows;
  use.least = epochs;
  use.most = epochs + (rest > 0 ? 1 : 0);
  use.unused = epochs > 0 ? 0 : use.rows - rest;
}

}  // namespace

RowUse row_use(const PackedRows& rows, const TrainingSettings& settings, std::int64_t updates,
               BatchOrder& order) {
  RowUse use{.rows = rows.size(),
             .uses = updates * settings.grad_accumulation_steps * settings.batch_size};
  const bool repeats = use.uses > 0 && (rows.size() < settings.batch_size || settings.is_trial());
  (repeats ? count_uses : count_epochs)(rows, settings, order, use);
  return use;
}

BatchBuffer::BatchBuffer(std::int64_t tokens, std::int64_t rows)
    : ids_(at(tokens)),
      targets_(at(tokens)),
      row_starts_(at(rows + 1)),
      coefficients_(at(tokens)),
      row_keys_(at(rows)) {}

Batch BatchBuffer::fill(const PackedRows& data, std::span<const std::int64_t> rows,
                        std::int64_t max_seq_length) {
  tokens_ = 0;
  rows_ = 0;
  PassingRows passing(data);
  for (const std::int64_t index : rows) append(passing.row(index), index, max_seq_length);
  return batch();
}

void BatchBuffer::append(const PackedRow& row, std::int64_t index, std::int64_t max_seq_length) {
  const std::size_t length = std::min(row.ids.size(), at(max_seq_length));
  const std::size_t start = at(tokens_);
  if (start + length > ids_.size() || at(rows_ + 2) > row_starts_.size()) {
    throw std::logic_error(
        fmt::format("BatchBuffer: row {} with {} tokens after {} tokens in {} rows; there is room "
                    "for {} tokens in {} rows",
                    index, length, tokens_, rows_, ids_.size(), row_starts_.size() - 1));
  }
  for (std::size_t t = 0; t < length; ++t) {
    const bool predicts = t + 1 < length && row.in_loss[t + 1] != 0;
    ids_[start + t] = row.ids[t];
    targets_[start + t] = predicts ? row.ids[t + 1] : -1;
    coefficients_[start + t] = predicts ? 1.0F : 0.0F;
  }
  tokens_ += static_cast<std::int64_t>(length);
  row_keys_[at(rows_)] = first_key_ + index;
  ++rows_;
  row_starts_[at(rows_)] = static_cast<std::int32_t>(tokens_);
}

Batch BatchBuffer::batch() const {
  const std::size_t tokens = at(tokens_);
  return {.ids = std::span(ids_).first(tokens),
          .row_starts = std::span(row_starts_).first(at(rows_ + 1)),
          .targets = std::span(targets_).first(tokens),
          .coefficients = std::span(coefficients_).first(tokens),
          .row_keys = std::span(row_keys_).first(first_key_ < 0 ? 0 : at(rows_))};
}

std::int64_t targets_of(const PackedRow& row, std::int64_t max_seq_length) {
  const std::size_t length = std::min(row.in_loss.size(), at(max_seq_length));
  if (length < 2) return 0;
  return std::count_if(row.in_loss.begin() + 1,
                       row.in_loss.begin() + static_cast<std::ptrdiff_t>(length),
                       [](std::uint8_t in_loss) { return in_loss != 0; });
}

}  // namespace loadline

// A list of at most N elements that allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <stdexcept>

namespace loadline {

template <typename T, std::size_t N>
class FixedList {
 public:
  FixedList() = default;
  FixedList(std::initializer_list<T> elements) {
    for (const T& element : elements) push_back(element);
  }
  // Throws std::logic_error when N are there.
  void push_back(const T& element) {
    if (size_ == N) throw std::logic_error("a FixedList is full");
    elements_[size_++] = element;
  }

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T* begin() { return elements_.data(); }
  [[nodiscard]] T* end() { return elements_.data() + size_; }
  [[nodiscard]] const T* begin() const { return elements_.data(); }
  [[nodiscard]] const T* end() const { return elements_.data() + size_; }
  [[nodiscard]] T& operator[](std::size_t i) { return elements_[i]; }
  [[nodiscard]] const T& operator[](std::size_t i) const { return elements_[i]; }
  operator std::span<const T>() const { return {elements_.data(), size_}; }

 private:
  std::array<T, N> elements_{};
  std::size_t size_ = 0;
};

}  // namespace loadline

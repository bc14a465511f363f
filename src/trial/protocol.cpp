#include "trial/protocol.h"

#include "base/error.h"
#include "base/json.h"
#include "trial/fields.h"

namespace loadline {
namespace {

constexpr std::string_view kSource = "worker protocol";

// One overload for each event: what it says, and under which name.
Json document_of(const Loaded& e) {
  return {{"event", "loaded"},
          {"seconds", e.seconds},
          {"planned_bytes", e.planned.count},
          {"peak_bytes", e.peak.count},
          {"rows", e.rows},
          {"worst_batch_tokens", e.worst_batch_tokens},
          {"longest_row", e.longest_row}};
}
Json document_of(const Stepped& e) {
  Json document{{"event", "step"},
                {"step", e.step.step},
                {"loss", number_json(e.step.loss)},
                {"seconds", e.step.seconds},
                {"tokens", e.step.tokens},
                {"peak_bytes", e.step.peak.count},
                {"anonymous_bytes", e.step.anonymous.count}};
  put_cross_entropy(document, e.step.cross_entropy);
  put_reference(document, e.step.reference);
  return document;
}
Json document_of(const Evaluated& e) {
  return {{"event", "evaluated"},
          {"loss", number_json(e.loss)},
          {"seconds", e.seconds},
          {"peak_bytes", e.peak.count}};
}
Json document_of(const Saved& e) { return {{"event", "saved"}, {"peak_bytes", e.peak.count}}; }
Json document_of(const Finished& e) {
  return {{"event", "finished"},
          {"peak_bytes", e.peak.count},
          {"anonymous_bytes", e.anonymous.count},
          {"file_bytes", e.file.count},
          {"coverage", e.coverage}};
}
Json document_of(const Failed& e) {
  return {{"event", "failed"}, {"verdict", name_of(e.verdict)}, {"detail", e.detail}};
}

Loaded loaded_from(const Json& d) {
  return {.seconds = seconds_field(d, "seconds", kSource),
          .planned = bytes_field(d, "planned_bytes", kSource),
          .peak = bytes_field(d, "peak_bytes", kSource),
          .rows = count_field(d, "rows", kSource),
          .worst_batch_tokens = count_field(d, "worst_batch_tokens", kSource),
          .longest_row = count_field(d, "longest_row", kSource)};
}
Stepped stepped_from(const Json& d) {
  return {{.step = count_field(d, "step", kSource),
           .loss = loss_field(d, "loss", kSource),
           .seconds = seconds_field(d, "seconds", kSource),
           .tokens = count_field(d, "tokens", kSource),
           .peak = bytes_field(d, "peak_bytes", kSource),
           .anonymous = json_find(d, "anonymous_bytes") == nullptr
                            ? Bytes{}
                            : bytes_field(d, "anonymous_bytes", kSource),
           .cross_entropy = cross_entropy_field(d, kSource),
           .reference = reference_field(d, kSource)}};
}
Evaluated evaluated_from(const Json& d) {
  return {.loss = loss_field(d, "loss", kSource),
          .seconds = seconds_field(d, "seconds", kSource),
          .peak = bytes_field(d, "peak_bytes", kSource)};
}
Finished finished_from(const Json& d) {
  return {.peak = bytes_field(d, "peak_bytes", kSource),
          .anonymous = bytes_field(d, "anonymous_bytes", kSource),
          .file = bytes_field(d, "file_bytes", kSource),
          .coverage = json_string(d, "coverage", kSource)};
}

// A worker may confess, but it may not judge: whether it fits is measured from outside.
Failed failed_from(const Json& d) {
  const Verdict verdict = verdict_from(json_string(d, "verdict", kSource));
  switch (verdict) {
    case Verdict::kOutOfMemory:
    case Verdict::kDiverged:
    case Verdict::kBadInput:
    case Verdict::kInterrupted:
    case Verdict::kRefused:
    case Verdict::kCrashed:
      return {.verdict = verdict, .detail = json_string(d, "detail", kSource)};
    default:
      throw bad_input("{}: a worker cannot fail with verdict '{}'", kSource, name_of(verdict));
  }
}

}  // namespace

std::string encode_event(const WorkerEvent& event) {
  return dump_line(std::visit([](const auto& e) { return document_of(e); }, event));
}

WorkerEvent decode_event(std::string_view line) {
  if (line.size() > kLongestLine) {
    throw bad_input("{}: a line has {} bytes, but at most {} are allowed", kSource, line.size(),
                    kLongestLine);
  }
  const Json document = parse_json(line, kSource);
  if (!document.is_object()) {
    throw bad_input("{}: a line should be a JSON object, but it is {}", kSource,
                    document.type_name());
  }
  const std::string event = json_string(document, "event", kSource);
  if (event == "loaded") return loaded_from(document);
  if (event == "step") return stepped_from(document);
  if (event == "evaluated") return evaluated_from(document);
  if (event == "saved") return Saved{bytes_field(document, "peak_bytes", kSource)};
  if (event == "finished") return finished_from(document);
  if (event == "failed") return failed_from(document);
  throw bad_input("{}: event '{:.60}' is unknown", kSource, event);
}

}  // namespace loadline

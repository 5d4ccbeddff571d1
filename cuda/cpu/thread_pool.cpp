#include "thread_pool.h"

#include <unistd.h>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace s3d {
namespace {

using Body = std::function<void(int64_t, int)>;

// Looks (some 10 to 40 ns each) before a thread goes to sleep. A pass is a row of short jobs, and waking a thread takes
// as long as some of them; longer spinning would steal the core from others on a busy machine.
constexpr int kLooks = 1000;

template <class Condition>
void look_for(Condition condition) {
  for (int i = 0; i < kLooks && !condition(); ++i) {
#if defined(__SSE2__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
  }
}

class ThreadPool {
 public:
  void run(int threads, int64_t count, const Body& body) {
    std::lock_guard<std::mutex> one_job(job_mutex_);
    grow(threads - 1);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      count_ = count;
      next_.store(0, std::memory_order_relaxed);
      helpers_ = threads - 1 < int(workers_.size()) ? threads - 1 : int(workers_.size());
      running_ = helpers_;
      ++generation_;
    }
    wake_.notify_all();
    work(0);
    look_for([this] { return running_ == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    body_ = nullptr;
  }

 private:
  // A machine that refuses more threads leaves fewer workers; the work is done all the same.
  void grow(int wanted) {
    try {
      while (int(workers_.size()) < wanted) {
        const int id = int(workers_.size()) + 1;
        workers_.emplace_back([this, id, seen = generation_.load()] { serve(id, seen); });
      }
    } catch (...) {
    }
  }

  void serve(int id, uint64_t seen) {
    for (;;) {
      look_for([&] { return generation_ != seen; });
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return generation_ != seen; });
        seen = generation_;
        if (id > helpers_) continue;
      }
      work(id);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--running_ == 0) done_.notify_one();
    }
  }

  void work(int id) {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) (*body_)(i, id);
  }

  std::mutex job_mutex_, mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
  const Body* body_ = nullptr;
  int64_t count_ = 0;
  std::atomic<int64_t> next_{0};
  int helpers_ = 0;
  // Changed under the mutex; atomic for those who only look.
  std::atomic<int> running_{0};
  std::atomic<uint64_t> generation_{0};
};

// The pool is never destroyed (its threads sleep at exit). A forked child has none of the threads and starts its own.
ThreadPool& pool() {
  static std::mutex mutex;
  static ThreadPool* instance = nullptr;
  static pid_t owner = 0;
  std::lock_guard<std::mutex> lock(mutex);
  if (owner != getpid()) {
    instance = new ThreadPool;
    owner = getpid();
  }
  return *instance;
}

}  // namespace

void parallel_for(int threads, int64_t count, const Body& body) {
  if (threads <= 1 || count <= 1) {
    for (int64_t i = 0; i < count; ++i) body(i, 0);
    return;
  }
  pool().run(int64_t(threads) < count ? threads : int(count), count, body);
}

}  // namespace s3d

// Threads of the C++ standard library: std::thread, async, promise, condition_variable, call_once, shared_mutex, thread_local, atomics.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <future>
#include <iostream>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <stdexcept>
#include <thread>
#include <vector>

static thread_local int own = 1;

template <class T> class Queue {
	std::deque<T> items;
	std::mutex lock;
	std::condition_variable changed;

public:
	void put(T item)
	{
		{
			std::lock_guard guard(lock);
			items.push_back(item);
		}
		changed.notify_one();
	}
	T take()
	{
		std::unique_lock guard(lock);
		changed.wait(guard, [&] { return !items.empty(); });
		T item = items.front();
		items.pop_front();
		return item;
	}
};

static long sum(const std::vector<long> &numbers, size_t from, size_t to)
{
	if (to - from < 20000)
		return std::accumulate(numbers.begin() + from, numbers.begin() + to, 0L);
	size_t middle = (from + to) / 2;
	auto left = std::async(std::launch::async, sum, std::cref(numbers), from, middle);
	long right = sum(numbers, middle, to);
	return left.get() + right;
}

int main()
{
	std::vector<long> numbers(200000);
	std::iota(numbers.begin(), numbers.end(), 1);
	std::cout << "async " << sum(numbers, 0, numbers.size()) << '\n';

	Queue<int> queue;
	std::atomic<long> total{0};
	std::vector<std::thread> threads;
	for (int i = 0; i < 4; i++)
		threads.emplace_back([&] {
			for (int item; (item = queue.take()) >= 0;)
				total += item;
			own = 2;
		});
	for (int i = 0; i < 10000; i++)
		queue.put(i);
	for (int i = 0; i < 4; i++)
		queue.put(-1);
	for (auto &thread : threads)
		thread.join();
	std::cout << "queue " << total << " own " << own << '\n';

	try {
		std::async(std::launch::async, []() -> int { throw std::runtime_error("thrown in a thread"); }).get();
	} catch (const std::exception &error) {
		std::cout << "caught " << error.what() << '\n';
	}

	std::once_flag once;
	std::atomic<int> times{0}, readers{0};
	std::shared_mutex shared;
	threads.clear();
	for (int i = 0; i < 8; i++)
		threads.emplace_back([&] {
			std::call_once(once, [&] { times++; });
			std::shared_lock guard(shared);
			readers++;
		});
	for (auto &thread : threads)
		thread.join();
	std::cout << "once " << times << " readers " << readers << '\n';

	std::promise<int> promise;
	auto future = promise.get_future();
	std::cout << "timeout " << (future.wait_for(std::chrono::milliseconds(20)) == std::future_status::timeout) << '\n';
	std::thread([&] { promise.set_value(42); }).detach();
	std::cout << "promise " << future.get() << '\n';
	return 3;
}

// Exceptions through several frames with destructors, iostreams, containers, dynamic types and thread-local storage.
#include <algorithm>
#include <exception>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <vector>

static thread_local int unwound = 0;

struct Guard {
	~Guard() { unwound++; }
};

struct Shape {
	virtual ~Shape() = default;
	virtual double area() const = 0;
};

struct Square : Shape {
	double side;
	explicit Square(double s) : side(s) {}
	double area() const override { return side * side; }
};

struct Circle : Shape {
	double area() const override { return 3.0; }
};

static int deep(int level)
{
	Guard guard;
	if (level == 0)
		throw std::out_of_range("bottom reached");
	return deep(level - 1) + 1;
}

int main()
{
	try {
		deep(100);
	} catch (const std::out_of_range &error) {
		std::cout << "caught: " << error.what() << ", " << unwound << " frames unwound\n";
	}
	try {
		try {
			std::vector<int>().at(1);
		} catch (...) {
			std::throw_with_nested(std::runtime_error("outer"));
		}
	} catch (const std::exception &outer) {
		std::cout << "nested: " << outer.what();
		try {
			std::rethrow_if_nested(outer);
		} catch (const std::out_of_range &) {
			std::cout << " from out_of_range\n";
		}
	}
	std::unique_ptr<Shape> shape = std::make_unique<Square>(1.5);
	try {
		dynamic_cast<Circle &>(*shape).area();
	} catch (const std::bad_cast &) {
		std::cout << "bad_cast, area " << shape->area() << '\n';
	}
	std::istringstream words("the cat and the dog and the bird");
	std::map<std::string, int> counts;
	for (std::string word; words >> word;)
		counts[word]++;
	for (const auto &[word, count] : counts)
		std::cout << std::setw(6) << std::left << word << count << '\n';
	std::vector<int> numbers(1000);
	for (size_t i = 0; i < numbers.size(); i++)
		numbers[i] = static_cast<int>(i * 7919 % 1000);
	std::sort(numbers.begin(), numbers.end());
	std::cout << "sorted: " << std::is_sorted(numbers.begin(), numbers.end()) << ' ' << std::hex << std::showbase
		  << numbers.back() << std::dec << std::endl;
	std::string line;
	while (std::getline(std::cin, line))
		std::cout << "line of " << line.size() << ": " << line << '\n';
	std::cerr << "done" << std::endl;
	return 5;
}

// Says again how long ago things were.
import { tick } from "./ages.js";

const EVERY = 5000;

setInterval(() => document.hidden || tick(), EVERY);

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as format from '../../src/format/format.ts';

const english = { language: 'en-GB', timeZone: 'UTC' };
const german = { language: 'de-DE', timeZone: 'Europe/Berlin' };
const plain = (text: string) => text.replaceAll(/[\u00a0\u202f]/g, ' ');

test('bytes are shown in decimal units', () => {
  assert.equal(plain(format.bytes(0, english)), '0 bytes');
  assert.equal(plain(format.bytes(1, english)), '1 byte');
  assert.equal(plain(format.bytes(999, english)), '999 bytes');
  assert.equal(plain(format.bytes(1000, english)), '1.00 kB');
  assert.equal(plain(format.bytes(107_374_182_400, english)), '107.4 GB');
  assert.equal(plain(format.bytes(1_152_921_504_606_846_976, english)), '1,152.9 PB');
});

test('bytes just below a unit are shown in the next unit', () => {
  assert.equal(plain(format.bytes(999_999_999, english)), '1.00 GB');
});

test('negative bytes keep their sign', () => {
  assert.equal(plain(format.bytes(-5_000_000, english)), '-5.00 MB');
});

test('bytes follow the language of the viewer', () => {
  assert.equal(plain(format.bytes(1_234_567_890, german)), '1,23 GB');
});

test('the exact number of bytes has every digit', () => {
  assert.equal(plain(format.exactBytes(9_007_199_254_740_991, english)), '9,007,199,254,740,991 bytes');
});

test('an availability below one is never shown as 100 %', () => {
  assert.equal(format.percent(1, english), '100%');
  assert.equal(format.percent(0.999_999, english), '99.99%');
  assert.equal(format.percent(0.5, english), '50%');
});

test('times are shown in the zone of the viewer', () => {
  assert.equal(format.time('2026-03-29T00:30:00Z', 'minute', english), '29 Mar 2026, 00:30');
  assert.equal(plain(format.time('2026-03-29T00:30:00Z', 'minute', german)), '29. März 2026, 01:30');
  assert.equal(plain(format.time('2026-03-29T01:30:00Z', 'minute', german)), '29. März 2026, 03:30');
});

test('a relative time is rounded towards now', () => {
  const now = Date.parse('2026-03-10T12:00:00Z');
  assert.equal(format.relative('2026-03-22T11:00:00Z', now, english), 'in 11 days');
  assert.equal(format.relative('2026-03-10T11:57:01Z', now, english), '2 minutes ago');
  assert.equal(format.relative('2026-03-10T12:00:00Z', now, english), 'now');
});

test('a duration has its two greatest parts', () => {
  assert.equal(format.duration(0, english), '0 seconds');
  assert.equal(format.duration(90_061, english), '1 day, 1 hour');
  assert.equal(format.duration(3_600, english), '1 hour');
  assert.equal(format.duration(86_405, english), '1 day');
});

test('a time of less than a second is shown in milliseconds', () => {
  assert.equal(plain(format.milliseconds(395, english)), '395ms');
  assert.equal(plain(format.milliseconds(50_116, english)), '50.1s');
});

test('a factor has at most four decimals', () => {
  assert.equal(format.factor(1.5, english), '×1.5');
  assert.equal(format.factor(0.123_45, english), '×0.1235');
});

test('an unknown country is shown by its code', () => {
  assert.equal(format.country('DE', english), 'Germany');
  assert.equal(format.country('not a code', english), 'not a code');
});

test('a local time of an input is the time that the viewer sees', () => {
  const text = format.toLocalInput('2026-03-10T12:00:00Z');
  assert.equal(new Date(text).toISOString(), '2026-03-10T12:00:00.000Z');
});
